"""How unlike the recent past the series of one matrix are together."""

from __future__ import annotations

from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.model import Matrix, Scores
from watchkeeper.model.series import FloatArray

from . import base, paging
from .robust_zscore import MAD_TO_SIGMA, nanmedian

#: Share of training rows that may look odder than a score of 2 orders of rarity.
TRAINING_TAIL = 0.99


@plain_dataclass(frozen=True, slots=True)
class Forest:
    """A fitted forest with what it takes to compare rows with it. Can be built again from the training rows."""

    model: Any
    usual: float  #: median oddness of the training rows
    rare: float  #: their 99 % quantile

    def rarity(self, rows: base.Array) -> base.Array:
        oddness = -self.model.score_samples(rows)
        return np.asarray(2.0 * np.maximum(0.0, oddness - self.usual) / max(self.rare - self.usual, 1e-6))


@dataclass(frozen=True, kw_only=True, config=base.STRICT)
class IsolationForest:
    """Scores one group of series together (scikit-learn's isolation forest over sliding history).

    The group's score is the largest of the column; the others are the share each series has in it, found by setting
    that series back to its median and asking again. Good for: several series off at once, each only a little. Not
    for: ordinary values that no longer go together (trees cut one series at a time), for more than about a hundred
    series, and not for speed: a column costs milliseconds.
    """

    window: Annotated[int, Field(ge=32)] = 256  #: samples of history the forest learns from
    refit: Annotated[int, Field(ge=8)] = 64  #: samples between two fits
    trees: Annotated[int, Field(ge=10)] = 50
    min_history: Annotated[int, Field(ge=32)] = 64  #: samples before the first fit
    false_alarms_a_day: Annotated[float, Field(gt=0)] = 0.15  #: budget of alarms of one series; raises its limit
    seed: int = 7  #: of the random splits: the same past gives the same forest

    def start(self, count: int) -> base.State:
        rows = {
            "past": base.blank(count, self.window),
            "training": base.blank(count, self.window),
            "centre": base.blank(count),
            "spread": base.blank(count),
        }
        return paging.start(rows, count, {name: np.zeros(1, dtype=np.int64) for name in ("seen", "fitted")})

    def fit(self, matrix: Matrix) -> base.State:
        return self._walk(self.start(len(matrix.series)), matrix)[0]

    def update(self, state: base.State, column: Matrix) -> tuple[base.State, Scores]:
        base.same_layout(state, column)
        return self._walk(state, column)

    def score(self, matrix: Matrix) -> Scores:
        return self._walk(self.start(len(matrix.series)), matrix)[1]

    def _walk(self, state: base.State, matrix: Matrix) -> tuple[base.State, Scores]:
        """Columns between two fits are scored together; a row's score does not depend on its company."""
        seen, at = base.observed(matrix), 0
        value, expected, reach = (np.full(seen.shape, np.nan) for _ in range(3))
        while at < seen.shape[1]:
            self._refit_if_due(state)
            until = min(seen.shape[1], at + self._columns_left(state))
            block = seen[:, at:until]
            value[:, at:until] = self._block(state, block)
            expected[:, at:until] = state.rows["centre"][:, None]
            reach[:, at:until] = 3.0 * state.rows["spread"][:, None]
            self._remember(state, block)
            at = until
        scores = Scores(
            series=matrix.series,
            times=matrix.times,
            value=value,
            expected=expected,
            lower=expected - reach,
            upper=expected + reach,
            detector="isolation_forest",
        )
        return state, paging.paged(state, scores, self.false_alarms_a_day, orders=False)

    def _columns_left(self, state: base.State) -> int:
        """Columns until the next fit; at least 1."""
        seen, fitted = int(state.shared["seen"][0]), int(state.shared["fitted"][0])
        return fitted + self.refit - seen if fitted else max(1, self.min_history - seen)

    def _remember(self, state: base.State, block: FloatArray) -> None:
        seen = int(state.shared["seen"][0])
        places = np.arange(seen, seen + block.shape[1]) % self.window
        state.rows["past"][:, places] = block
        state.shared["seen"][0] = seen + block.shape[1]

    def _refit_if_due(self, state: base.State) -> None:
        seen, fitted = int(state.shared["seen"][0]), int(state.shared["fitted"][0])
        if seen >= self.min_history and (not fitted or seen - fitted >= self.refit):
            past = state.rows["past"]
            centre = nanmedian(past)
            spread = MAD_TO_SIGMA * nanmedian(np.abs(past - centre[:, None]))
            floor = np.maximum(np.float32(1e-6) * np.abs(centre), np.float32(1e-9))
            state.rows |= {"training": past.copy(), "centre": centre, "spread": np.maximum(spread, floor)}
            state.shared["fitted"][0] = seen
            state.cache.pop("forest", None)

    def _rows(self, state: base.State, block: FloatArray) -> base.Array:
        """Columns as standardised rows [time, series]; an absent value stands at its median."""
        centre, spread = state.rows["centre"][:, None], state.rows["spread"][:, None]
        units = np.nan_to_num((block - centre) / spread, nan=0.0)
        return np.clip(units, -1e6, 1e6).astype(np.float32).T

    def _forest(self, state: base.State) -> Forest | None:
        training = state.rows["training"]
        complete = training[:, ~np.isnan(training).all(axis=0)]
        if complete.shape[1] < self.min_history // 2 or not len(training):
            return None
        if "forest" not in state.cache:
            from sklearn.ensemble import IsolationForest as SklearnForest  # two seconds to import: only who asks pays

            model = SklearnForest(n_estimators=self.trees, random_state=self.seed)
            rows = self._rows(state, complete)
            oddness = -model.fit(rows).score_samples(rows)
            usual, rare = float(np.median(oddness)), float(np.quantile(oddness, TRAINING_TAIL))
            state.cache["forest"] = Forest(model, usual, rare)
        forest: Forest = state.cache["forest"]
        return forest

    def _block(self, state: base.State, block: FloatArray) -> base.Array:
        """Scores [series, time] of columns that one forest judges."""
        forest = self._forest(state)
        if forest is None:
            return np.full(block.shape, np.nan)
        rows = self._rows(state, block)
        group = forest.rarity(rows)
        count = rows.shape[1]
        without = np.repeat(rows[:, None, :], count, axis=1)  # [time, series set back, series]
        without[:, np.arange(count), np.arange(count)] = 0.0
        relieved = forest.rarity(without.reshape(-1, count)).reshape(len(rows), count)
        blame = np.maximum(group[:, None] - relieved, 0.0)
        largest = blame.max(axis=1, keepdims=True)
        share = np.where(largest > 0, blame / np.where(largest > 0, largest, 1.0), 1.0)
        value = base.rarity_score(group[:, None] * share).T
        mostly_known = np.count_nonzero(~np.isnan(block), axis=0) * 2 > count
        return np.where(~np.isnan(block) & mostly_known, value, np.nan)
