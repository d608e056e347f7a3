"""What is advised by the risk, and a row in the audit whenever that changes: Watchkeeper advises, others decide."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from detectors.entities import Kind, Standing
from watchkeeper.config.security import Entities as Options
from watchkeeper.errors import StoreError
from watchkeeper.store.state import State
from watchkeeper.store.state.repositories.audit import Wanted
from watchkeeper.telemetry import logger

log = logger(__name__)

Advice = Literal["allow", "step_up", "block"]
ORDER: tuple[Advice, ...] = ("allow", "step_up", "block")
#: Advice is taken back when the risk has fallen to this share of its threshold, so that it does not flutter.
BACK = 0.75
#: Rows of one reading; with more at once, the others come with the next.
MOST_ROWS = 100
#: Rows that are looked through for what stands advised at a start.
MOST_RECALLED = 5000
#: Actor and action of the rows.
WHO, ACTION = "watchkeeper", "advise"
#: Of whom something is advised: a machine or service is not refused.
ADVISED = ("user", "source")


def advice(risk: float, options: Options, before: Advice = "allow") -> Advice:
    """By the thresholds; what was advised ``before`` stays until the risk is well below."""
    found: Advice = "allow"
    for name, threshold in (("step_up", options.step_up), ("block", options.block)):
        place: Advice = "step_up" if name == "step_up" else "block"
        if risk >= threshold or (ORDER.index(before) >= ORDER.index(place) and risk >= threshold * BACK):
            found = place
    return found


class Decisions:
    """What stands advised of whom."""

    def __init__(self, store: State) -> None:
        self._store = store
        self.standing: dict[tuple[Kind, str], Advice] = {}
        self._recalled = False

    def step(self, risks: Sequence[Standing], options: Options, now: datetime) -> None:
        """Write what has changed, with the reasons."""
        if not self._recalled:
            self._recall()
        current = {(one.entity.kind, one.entity.name): one for one in risks if one.entity.kind in ADVISED}
        changed = [
            (key, before, after, one)
            for key in {**current, **self.standing}
            for one in [current.get(key)]
            for before in [self.standing.get(key, ORDER[0])]
            for after in [advice(one.risk if one else 0.0, options, before)]
            if after != before
        ][:MOST_ROWS]
        if not changed:
            return
        try:
            with self._store.begin() as unit:
                for (kind, name), before, after, one in changed:
                    detail = {"before": before, "after": after, **_why(one)}
                    unit.audit.append(WHO, ACTION, f"{kind}/{name}", detail, at=now)
        except StoreError as error:
            log.error("advice not recorded; it is tried again", error=str(error))
            return
        for key, _, after, _ in changed:
            if after == ORDER[0]:
                self.standing.pop(key, None)
            else:
                self.standing[key] = after

    def _recall(self) -> None:
        """What stood advised before a restart, by the audit: it is no change to advise it still."""
        try:
            with self._store.read() as unit:
                rows = unit.audit.newest(MOST_RECALLED, Wanted(actor=WHO, action=ACTION))
        except StoreError as error:
            log.error("earlier advice cannot be read; it is tried again", error=str(error))
            return
        self._recalled = True
        for row in reversed(rows):
            kind, _, name = row.subject.partition("/")
            after = row.detail.get("after")
            if row.action == ACTION and kind in ADVISED and after in ORDER:
                self.standing[kind, name] = after  # type: ignore[index]
        self.standing = {key: stands for key, stands in self.standing.items() if stands != ORDER[0]}


def _why(one: Standing | None) -> dict[str, Any]:
    """The risk and its reasons; nothing is left of one that has gone."""
    if one is None:
        return {"risk": 0.0, "reasons": []}
    reasons = [{"reason": why.name, "points": round(left, 1), **why.detail} for why, left in one.reasons]
    return {"risk": round(one.risk, 1), "reasons": reasons}
