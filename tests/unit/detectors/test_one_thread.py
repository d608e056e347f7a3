"""Scoring keeps to the thread that asks, and to the memory that it has."""

from __future__ import annotations

from resource import RUSAGE_SELF, getrusage

import numpy as np
from support.matrices import matrix
from threadpoolctl import threadpool_info

from detectors.ensemble import Ensemble


def test_scoring_leaves_the_other_cores_alone() -> None:
    Ensemble().score(matrix(np.zeros((2, 50))))
    threads = {each["filepath"]: each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}
    ours = [count for path, count in threads.items() if "numpy" in path]
    assert ours == [1]


def test_scoring_again_asks_the_kernel_for_next_to_no_memory() -> None:
    """Thirty thousand pages were cleared for these samples, each time."""
    many = matrix(np.random.default_rng(4).normal(0.0, 1.0, (100, 1200)))
    Ensemble().score(many)
    before = getrusage(RUSAGE_SELF).ru_minflt
    Ensemble().score(many)
    assert getrusage(RUSAGE_SELF).ru_minflt - before < 3000
