"""Scoring keeps to the thread that asks."""

from __future__ import annotations

import numpy as np
from support.matrices import matrix
from threadpoolctl import threadpool_info

from detectors.ensemble import Ensemble


def test_scoring_leaves_the_other_cores_alone() -> None:
    Ensemble().score(matrix(np.zeros((2, 50))))
    threads = {each["filepath"]: each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}
    ours = [count for path, count in threads.items() if "numpy" in path]
    assert ours == [1]
