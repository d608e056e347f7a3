"""Service levels: allowed downtime beside the contract's figure, error budgets and burn rates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

#: A month in contracts that divide the year: 365 days * 24 h / 12.
MONTH_730H = timedelta(hours=730)
MONTH_30D = timedelta(days=30)
NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Downtime:
    """What an objective allows in a window, beside what the contract says, and what is left of it."""

    window: timedelta
    computed: timedelta  #: window * (1 - target)
    contract: timedelta | None  #: the figure in the contract, if it names one
    used: timedelta | None  #: None: not measured

    @property
    def allowed(self) -> timedelta:
        """The contract's figure where there is one: it is what was promised."""
        return self.computed if self.contract is None else self.contract

    @property
    def remaining(self) -> timedelta | None:
        """Negative once the promise is broken; None where the use is not known."""
        return None if self.used is None else self.allowed - self.used

    @property
    def differs(self) -> timedelta:
        """Contract minus computed: not zero when the contract counts another window."""
        return self.allowed - self.computed


def downtime(
    target: float, window: timedelta, *, contract: timedelta | None = None, used: timedelta | None = None
) -> Downtime:
    """Allowed downtime of an availability ``target`` (0..1, as 0.999) in an explicit window."""
    _check_target(target)
    if window <= timedelta(0):
        raise ValueError("window must be longer than nothing")
    computed = timedelta(seconds=round(window.total_seconds() * (1.0 - target), 6))
    return Downtime(window=window, computed=computed, contract=contract, used=used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """An error budget over a window, in events (requests, probes or minutes). NaN where nothing was counted."""

    target: float
    total: float
    bad: float

    @property
    def attained(self) -> float:
        """Share of good events, 0..1."""
        return 1.0 - self.bad / self.total if self.total > 0 else NAN

    @property
    def allowed(self) -> float:
        """Bad events the target allows for this many events."""
        return self.total * (1.0 - self.target)

    @property
    def remaining_ratio(self) -> float:
        """1 untouched, 0 spent, negative overspent; NaN without events."""
        return 1.0 - self.bad / self.allowed if self.total > 0 else NAN


def budget(target: float, *, total: float, bad: float) -> Budget:
    _check_target(target)
    if total < 0 or bad < 0 or bad > total:
        raise ValueError(f"needs 0 <= bad <= total, got bad={bad} of total={total}")
    return Budget(target=target, total=total, bad=bad)


def burn_rate(target: float, *, total: float, bad: float) -> float:
    """How many times faster than allowed the budget goes: 1 spends it exactly over the window. NaN without events."""
    spent = budget(target, total=total, bad=bad)
    return bad / spent.allowed if total > 0 else NAN


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnWindow:
    """A pair of windows: the long one says it matters, the short one that it still goes on."""

    long: timedelta
    short: timedelta
    factor: float  #: burn rate at which it fires
    page: bool  #: False: a ticket will do


#: Google's SRE workbook, chapter 5, table 5-8, for a 30-day window: 2 %, 5 % and 10 % of the budget.
BURN_WINDOWS = (
    BurnWindow(long=timedelta(hours=1), short=timedelta(minutes=5), factor=14.4, page=True),
    BurnWindow(long=timedelta(hours=6), short=timedelta(minutes=30), factor=6.0, page=True),
    BurnWindow(long=timedelta(days=3), short=timedelta(hours=6), factor=1.0, page=False),
)


def burning(rates: dict[timedelta, float]) -> BurnWindow | None:
    """The most urgent pair that burns in both windows. An unknown rate (NaN or absent) never fires."""
    for pair in BURN_WINDOWS:
        if rates.get(pair.long, NAN) > pair.factor and rates.get(pair.short, NAN) > pair.factor:
            return pair
    return None


def time_to_spent(remaining_ratio: float, rate: float, window: timedelta) -> timedelta | None:
    """When the budget is gone at this burn rate. None: not at this rate, or not known."""
    if not (remaining_ratio == remaining_ratio and rate > 0):
        return None
    return max(timedelta(0), window * (remaining_ratio / rate))


def serial_availability(targets: list[float]) -> float:
    """Best availability of a chain in which every link must work: 20 links of 99.9 % give 98.0 %."""
    product = 1.0
    for target in targets:
        _check_target(target)
        product *= target
    return product


def _check_target(target: float) -> None:
    if not 0.0 < target < 1.0:
        raise ValueError(f"a target is a share between 0 and 1, such as 0.999, not {target}")
