"""Why did the bill jump: what changed between two periods, the largest first, and whether price or quantity did it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from watchkeeper.model import DayCharge

from .cost import EXACT, Basis, amount

#: Effects are shown to this many digits after the point; the two always add up to the change.
PLACES = Decimal("0.000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One thing whose cost changed."""

    name: str
    currency: str
    before: Decimal
    after: Decimal
    change: Decimal
    kind: Literal["new", "gone", "changed"]
    quantity_effect: Decimal | None = None  #: change had the price stayed; None where quantities cannot be compared
    price_effect: Decimal | None = None  #: the rest of the change


@dataclass(slots=True)
class _Side:
    cost: Decimal = Decimal(0)
    quantity: Decimal = Decimal(0)
    units: set[str] | None = None
    counted: bool = True
    seen: bool = False

    def take(self, row: DayCharge, basis: Basis) -> None:
        self.cost, self.seen = EXACT.add(self.cost, amount(row, basis)), True
        if row.quantity is None:
            self.counted = False
        else:
            self.quantity = EXACT.add(self.quantity, row.quantity)
            self.units = (self.units or set()) | {row.unit}


def drivers(
    before: Iterable[DayCharge], after: Iterable[DayCharge], key: Callable[[DayCharge], str], basis: Basis
) -> list[Driver]:
    """Everything that changed, by name and currency; the largest change first. Changes add up to that of the bill."""
    sides: tuple[defaultdict[tuple[str, str], _Side], ...] = (defaultdict(_Side), defaultdict(_Side))
    for rows, side in zip((before, after), sides, strict=True):
        for row in rows:
            side[key(row), row.currency].take(row, basis)
    found = [_driver(at, sides[0].get(at, _Side()), sides[1].get(at, _Side())) for at in {**sides[0], **sides[1]}]
    return sorted((one for one in found if one.change), key=lambda one: (-abs(one.change), one.name, one.currency))


def _driver(at: tuple[str, str], before: _Side, after: _Side) -> Driver:
    change = EXACT.subtract(after.cost, before.cost)
    kind: Literal["new", "gone", "changed"] = (
        "changed" if before.seen and after.seen else "new" if after.seen else "gone"
    )
    quantity_effect = _quantity_effect(before, after)
    return Driver(
        name=at[0],
        currency=at[1],
        before=before.cost,
        after=after.cost,
        change=change,
        kind=kind,
        quantity_effect=quantity_effect,
        price_effect=None if quantity_effect is None else EXACT.subtract(change, quantity_effect),
    )


def _quantity_effect(before: _Side, after: _Side) -> Decimal | None:
    """Known only where both sides count the same single unit, above nothing."""
    same = before.units == after.units and len(before.units or ()) == 1
    if not (same and before.counted and after.counted and before.seen and after.seen):
        return None
    if before.quantity <= 0 or after.quantity <= 0:
        return None
    return (before.cost * (after.quantity / before.quantity - 1)).quantize(PLACES)
