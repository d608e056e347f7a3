"""What is scored: every series with its detector, what kind of quantity it is, and whether it is still learned."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import APIRouter, Depends, Request

from watchkeeper.app.api import shapes
from watchkeeper.app.api.guard import read
from watchkeeper.app.engine import Engine
from watchkeeper.app.pipeline.lanes import Watched
from watchkeeper.clock import from_ms
from watchkeeper.model import format_series

router = APIRouter(prefix="/api/wk", dependencies=[Depends(read)])

#: Series of one answer at most.
MOST = 1000


@router.get("/scored")
def scored(request: Request, text: str = "", limit: int = 100) -> dict[str, Any]:
    """Counts of all series that have ``text`` in their name or labels, and the first of them, the oddest first."""
    engine: Engine = request.app.state.engine
    found = engine.threads["score"].submit(engine.scoring.watched).result()
    named = [(format_series(one.series), one) for one in found]
    chosen = [(name, one) for name, one in named if text in name]
    chosen.sort(key=lambda pair: (-pair[1].score if pair[1].score == pair[1].score else 1.0, pair[0]))
    return {
        "now": shapes.moment(engine.clock.now()),
        "total": len(chosen),
        "learning": sum(one.learning for _, one in chosen),
        "detectors": dict(Counter(one.detector for _, one in chosen)),
        "natures": dict(Counter(one.nature for _, one in chosen)),
        "series": [_shown(name, one) for name, one in chosen[: min(max(limit, 1), MOST)]],
    }


def _shown(name: str, one: Watched) -> dict[str, Any]:
    return {
        "series": name,
        "detector": one.detector,
        "nature": one.nature,
        "learning": one.learning,
        "first_at": shapes.moment(from_ms(one.first_ms)) if one.first_ms else None,
        "score": None if one.score != one.score else one.score,
    }
