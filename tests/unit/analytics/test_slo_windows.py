"""Calendar windows, budgets with unknown time, burn rates and chains, computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.response import answered
from analytics.slo_paths import budget_path, burn_path
from analytics.slo_windows import (
    Counts,
    Span,
    Standing,
    allowed_minutes,
    burn,
    chain,
    progress,
    span_of,
    standing,
    tally,
    tally_events,
    total,
)
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.model import Incident, IncidentState, Severity

SHANGHAI, BERLIN, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
CORE = Decimal("99.9")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("day", "zone", "days", "allowed"),
    [
        (datetime(2026, 2, 10, tzinfo=UTC), SHANGHAI, 28, "40.32"),
        (datetime(2028, 2, 10, tzinfo=UTC), SHANGHAI, 29, "41.76"),
        (datetime(2026, 4, 10, tzinfo=UTC), SHANGHAI, 30, "43.2"),
        (datetime(2026, 1, 10, tzinfo=UTC), SHANGHAI, 31, "44.64"),
        (datetime(2000, 2, 10, tzinfo=UTC), SHANGHAI, 29, "41.76"),
    ],
)
def test_every_month_allows_what_its_own_days_give(day: datetime, zone: ZoneInfo, days: int, allowed: str) -> None:
    span = span_of("month", day, zone)
    assert span.seconds == days * 86400
    assert allowed_minutes(CORE, span.seconds) == Decimal(allowed)


def test_the_month_in_which_clocks_change_is_an_hour_shorter_or_longer() -> None:
    march = span_of("month", datetime(2026, 3, 10, tzinfo=UTC), BERLIN)
    october = span_of("month", datetime(2026, 10, 10, tzinfo=UTC), BERLIN)
    assert march.seconds == 31 * 86400 - 3600
    assert october.seconds == 31 * 86400 + 3600
    assert allowed_minutes(CORE, march.seconds) == Decimal("44.58")
    assert (march.start, march.end) == (datetime(2026, 2, 28, 23, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC))


def test_a_year_is_as_long_as_it_is_whatever_the_clocks_do() -> None:
    ordinary = span_of("year", datetime(2026, 7, 1, tzinfo=UTC), NEW_YORK)
    leap = span_of("year", datetime(2028, 7, 1, tzinfo=UTC), NEW_YORK)
    assert ordinary.seconds == 365 * 86400
    assert leap.seconds == 366 * 86400
    assert allowed_minutes(Decimal("99.99"), ordinary.seconds) == Decimal("52.56")  # the contract's "< 53 min"
    assert ordinary.start == datetime(2026, 1, 1, 5, tzinfo=UTC)


def test_new_year_comes_with_the_wall_clock() -> None:
    eve = datetime(2025, 12, 31, 17, tzinfo=UTC)  # one in the morning of the first in Shanghai
    assert span_of("year", eve, SHANGHAI).start == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert span_of("month", eve, SHANGHAI).seconds == 31 * 86400
    assert span_of("year", eve, NEW_YORK).start.year == 2025


def test_thirty_days_end_now_and_start_at_a_whole_hour() -> None:
    now = datetime(2026, 3, 31, 12, 34, tzinfo=UTC)
    assert span_of("30d", now, SHANGHAI) == Span(datetime(2026, 3, 1, 12, tzinfo=UTC), now, 30 * DAY)
    assert allowed_minutes(CORE, span_of("30d", now, SHANGHAI).seconds) == Decimal("43.2")


def test_five_nines_are_exact() -> None:
    assert allowed_minutes(Decimal("99.999"), Decimal(31 * 86400)) == Decimal("0.4464")


MARCH = span_of("month", datetime(2026, 3, 10, tzinfo=UTC), SHANGHAI)


def at(counts: Counts, *, days: int = 10, contract: str | None = None, first: datetime | None = None) -> Standing:
    limit = None if contract is None else Decimal(contract)
    return standing(MARCH, counts, target=CORE, contract=limit, now=MARCH.start + days * DAY, first=first)


def test_unknown_time_is_neither_good_nor_bad_and_stands_beside_the_share() -> None:
    found = at(Counts(good=8 * 86400 - 600, bad=600))
    assert found.attained == pytest.approx(1 - 600 / (8 * 86400))
    assert found.unknown == 2 * 86400
    assert found.unknown_ratio == pytest.approx(0.2)
    assert found.attained_at_worst == pytest.approx((8 * 86400 - 600) / (10 * 86400))
    assert found.used == pytest.approx(10.0)
    assert found.left == pytest.approx(34.64)
    assert found.status == "met"


def test_the_contracts_minutes_decide_where_it_names_them() -> None:
    counts = Counts(good=10 * 86400 - 44 * 60, bad=44 * 60)
    assert at(counts).status == "at_risk"
    broken = at(counts, contract="43.8")
    assert (broken.status, broken.computed, broken.allowed) == ("broken", Decimal("44.64"), Decimal("43.8"))
    assert broken.left == pytest.approx(-0.2)


def test_a_broken_promise_stays_broken_however_little_is_known() -> None:
    assert at(Counts(good=0, bad=3000)).status == "broken"


def test_nothing_known_is_unknown_and_not_met() -> None:
    found = at(Counts())
    assert found.status == "unknown"
    assert all(math.isnan(value) for value in (found.attained, found.attained_at_worst, found.used, found.left_ratio))
    assert at(Counts(good=4 * 86400)).status == "unknown"  # less than half of it


def test_what_was_good_since_measuring_began_is_good_so_far_and_never_met() -> None:
    yesterday = MARCH.start + 9 * DAY
    found = at(Counts(good=86400), first=yesterday)
    assert (found.status, found.unwatched, found.gaps) == ("so_far", 9 * 86400, 0)
    assert found.unknown_ratio == pytest.approx(0.9)  # the worst case counts the time before as well
    assert at(Counts(good=0, bad=3000), first=yesterday).status == "broken"
    assert at(Counts(good=86400 - 2300, bad=2300), first=yesterday).status == "at_risk"
    assert at(Counts(good=30000), first=yesterday).status == "unknown"  # most of the time since is a gap
    assert at(Counts(good=9 * 86400), first=MARCH.start + DAY).status == "met"
    assert at(Counts(good=10 * 86400), first=MARCH.start - DAY).unwatched == 0


def test_planned_maintenance_counts_on_neither_side() -> None:
    found = at(Counts(good=9 * 86400, excluded=86400))
    assert found.unknown == 0
    assert found.computed == Decimal(30 * 1440) / 1000


def test_requests_weigh_by_number_and_minutes_by_their_share() -> None:
    found = at(Counts(good=10 * 86400, events=1_000_000, bad_events=500))
    assert found.attained == 0.9995
    assert found.used == pytest.approx(14400 * 0.0005)


@pytest.mark.parametrize(
    ("bad", "target", "rate"), [(60, "99.9", 1000 / 60), (60, "99", 100 / 60), (3600, "99.9", 1000), (0, "99.9", 0)]
)
def test_a_burn_rate_is_the_bad_share_against_what_is_allowed(bad: float, target: str, rate: float) -> None:
    assert burn(Counts(good=3600 - bad, bad=bad), HOUR, Decimal(target)) == pytest.approx(rate)


def test_less_than_half_of_a_window_known_says_nothing() -> None:
    assert math.isnan(burn(Counts(good=0, bad=1799), HOUR, CORE))
    assert burn(Counts(good=900, bad=900), HOUR, CORE) == pytest.approx(500)
    assert burn(Counts(bad=60, excluded=3540), HOUR, CORE) == pytest.approx(1000)  # maintenance is not missed
    assert math.isnan(burn(Counts(excluded=3600), HOUR, CORE))


def test_twenty_services_of_three_nines_are_98_per_cent() -> None:
    found = chain([CORE] * 20, Decimal("99.99"))
    assert found.attainable.quantize(Decimal("0.0001")) == Decimal("98.0189")
    assert found.needed == Decimal("99.999500")
    assert found.contradicts
    assert not chain([Decimal("99.9995")] * 20, Decimal("99.99")).contradicts
    assert not chain([CORE], CORE).contradicts


@pytest.mark.parametrize(("targets", "whole"), [([], "99"), (["100"], "99"), (["99"], "0"), (["-1"], "99")])
def test_a_chain_of_nothing_or_of_what_is_no_target_is_refused(targets: list[str], whole: str) -> None:
    with pytest.raises(ValueError, match="per cent"):
        chain([Decimal(each) for each in targets], Decimal(whole))


def test_progress_from_baseline_to_target() -> None:
    assert progress(Decimal(70), Decimal("99.9"), 0.8495) == pytest.approx(0.5)
    assert progress(Decimal(70), Decimal("99.9"), 0.7) == pytest.approx(0.0)
    assert math.isnan(progress(Decimal("99.9"), Decimal("99.9"), 1.0))


def test_pieces_of_time_and_of_requests() -> None:
    out = np.array([False, False, False, True])
    assert tally(np.array([1.0, 0.0, np.nan, 0.0]), out, 60) == [
        Counts(good=60), Counts(bad=60), Counts(), Counts(excluded=60),
    ]  # fmt: skip
    every, good = np.array([10.0, 0.0, 10.0, 10.0]), np.array([9.0, np.nan, np.nan, 0.0])
    assert tally_events(good, every, out, 60) == [
        Counts(good=54, bad=6, events=600, bad_events=60), Counts(good=60), Counts(), Counts(excluded=60),
    ]  # fmt: skip
    more_good_than_all = tally_events(np.array([11.0]), np.array([10.0]), np.array([False]), 60)
    assert more_good_than_all == [Counts(good=60, events=600)]


def test_a_line_of_burn_rates_is_what_each_window_says() -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    pieces = {
        to_ms(start + index * MINUTE): Counts(bad=60) if 100 <= index < 110 else Counts(good=60) for index in range(300)
    }
    for end_ms, rate in burn_path(pieces, HOUR, CORE):
        inside = [one for each, one in pieces.items() if end_ms - 3_600_000 < each <= end_ms]
        assert rate == pytest.approx(burn(total(inside), HOUR, CORE), nan_ok=True), from_ms(end_ms)
    assert burn_path({}, HOUR, CORE) == []


def test_a_budget_only_ever_falls() -> None:
    rows = {to_ms(MARCH.start + hour * HOUR): Counts(good=3540, bad=60) for hour in range(-5, 48)}
    points = budget_path(rows, MARCH, target=CORE, contract=Decimal("43.8"))
    assert len(points) == 48  # those of February are not March's
    assert points[0][0] == to_ms(MARCH.start)
    assert points[0][1] == pytest.approx(1 - 1 / 43.8)
    assert points[-1][1] == pytest.approx(1 - 48 / 43.8)


NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def incident(severity: Severity, *, answered_after: int | None = None, resolved_after: int | None = None) -> Incident:
    def moment(after: int | None) -> datetime | None:
        return None if after is None else NOON + after * MINUTE

    return Incident(
        id="i", state=IncidentState.OPENED, severity=severity, title="", group_key="", labels={}, opened_at=NOON,
        acknowledged_at=moment(answered_after), resolved_at=moment(resolved_after), respond_by=NOON + 5 * MINUTE,
    )  # fmt: skip


def test_answered_late_or_never_is_late_and_a_running_clock_is_neither() -> None:
    kinds = [
        incident(Severity.P0, answered_after=5), incident(Severity.P0, answered_after=6),
        incident(Severity.P0), incident(Severity.P1, resolved_after=2),
    ]  # fmt: skip
    soon, later = answered(kinds, NOON + 4 * MINUTE), answered(kinds, NOON + 9 * MINUTE)
    assert [(one.severity, one.in_time, one.late, one.running) for one in soon] == [("P0", 1, 1, 1), ("P1", 1, 0, 0)]
    assert (later[0].late, later[0].running) == (2, 0)
    assert later[0].ratio == pytest.approx(1 / 3)
    assert math.isnan(answered([incident(Severity.P2)], NOON)[0].ratio)


def test_incidents_on_the_security_clock_are_counted_by_themselves() -> None:
    secure = replace(incident(Severity.P2, answered_after=3), details={"clock": "security"})
    found = answered([secure, incident(Severity.P2, answered_after=6)], NOON)
    assert [(one.severity, one.in_time, one.late) for one in found] == [("P2", 0, 1), ("security", 1, 0)]
