"""The demo's contingency plans: the two that ship, written where a visitor can change them, at a visitor's pace."""

from __future__ import annotations

from typing import Any

from remediation.contingency import pack_paths
from watchkeeper.app.demo.place import Place

#: What takes minutes in earnest takes seconds here, so that a visitor sees it begin.
PACE = (("lasting: 5m", "lasting: 20s"), ("hold: 1m", "hold: 10s"))
NAMES = ("provider_down", "payment_failing")
#: Rules whose way back is tried before the visitor comes: one for each switch.
REHEARSED = ("provider_degrade", "orders_stop", "payment_backup")


def write(place: Place) -> None:
    for name, path in zip(NAMES, pack_paths(NAMES), strict=True):
        text = path.read_text(encoding="utf-8")
        for usual, here in PACE:
            text = text.replace(usual, here)
        (place.plans / f"{name}.yaml").write_text(text, encoding="utf-8")


def section() -> dict[str, Any]:
    """Both robots hear of everything, each in its language; only DingTalk hears of drills."""
    both = ["dingtalk", "wecom"]
    audiences = [{"name": name, "channels": both} for name in ("oncall", "management", "customers", "support")]
    return {
        "audiences": [*audiences, {"name": "drills", "channels": ["dingtalk"]}],
        "drill_audience": "drills",
        "vendors": [
            {
                "name": "provider",
                "title": "Loopback Carrier (made up)",
                "contact": "duty desk",
                "phone": "+86 400 000 0001",
                "portal": "http://127.0.0.1/",
                "hours": "7x24",
                "contract": "C-1042, answers within 15 min",
            },
            {
                "name": "payment",
                "title": "Loopback Pay (made up)",
                "contact": "merchant support",
                "phone": "+86 400 000 0002",
                "hours": "7x24",
                "contract": "M-7, P1 within 30 min",
            },
        ],
    }
