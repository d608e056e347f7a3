"""Weights of candidates from their back-tests: combine, never pick."""

from __future__ import annotations

import numpy as np

from watchkeeper.model.series import FloatArray

from .backtest import Trial, mean_of_known, origin_weights

#: Weight falls with this power of the error.
POWER = 4.0
#: A candidate whose best rival has less than this share of its error is left out.
CUT = 0.6


def weights(trial: Trial, without: int | None = None) -> FloatArray:
    """[candidate, series], summing to 1 for every series; ``without`` leaves one origin out."""
    size = mean_of_known(np.abs(trial.errors), axis=(3,))  # [candidate, origin, series]
    by_origin = origin_weights(trial.origins)[None, :, None] * ~np.isnan(size)
    if without is not None and trial.origins > 1:
        by_origin = by_origin.copy()
        by_origin[:, without] = 0.0
    total = by_origin.sum(axis=1)
    error = (np.nan_to_num(size) * by_origin).sum(axis=1) / np.where(total > 0, total, 1.0)
    return _from_errors(error)


def _from_errors(error: FloatArray) -> FloatArray:
    best = error.min(axis=0)
    ratio = np.where(error > 0, best / np.where(error > 0, error, 1.0), 1.0)  # 1 for the best, towards 0
    weight = np.where(ratio >= CUT, ratio**POWER, 0.0)
    return np.asarray(weight / weight.sum(axis=0))


def combined_errors(trial: Trial) -> FloatArray:
    """Errors of the combination [origin, series, step], each origin with weights that never saw it."""
    return np.stack(
        [np.einsum("cn,cns->ns", weights(trial, without=at), trial.errors[:, at]) for at in range(trial.origins)]
    )
