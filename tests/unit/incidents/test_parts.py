"""Calendars, clocks, matchers, routes and causes on their own."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from pydantic import TypeAdapter, ValidationError
from support.rules import NOON

from incidents import Route, Settings, channels
from incidents.calendar import Calendar
from incidents.clocks import DEFAULT_CLOCKS, Term, deadlines
from incidents.group import group_key, likely_cause, title
from incidents.match import fitting, read_matcher
from incidents.mute import InhibitRule, inhibited
from watchkeeper.model import Alert, AlertState, Severity

SHANGHAI = Calendar()


def beijing(text: str) -> datetime:
    return datetime.fromisoformat(text + "+08:00").astimezone(UTC)


def alert(name: str, minute: int = 0, **labels: str) -> Alert:
    return Alert(
        id=name, fingerprint=name, rule=name, group="g", expr="x", labels={"alertname": name, **labels},
        annotations={}, state=AlertState.FIRING, severity=Severity.P1, value=1.0,
        active_at=NOON + timedelta(minutes=minute),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-11-16T10:00", 1, "2026-11-17T10:00"),  # Monday to Tuesday
        ("2026-11-20T17:00", 1, "2026-11-23T17:00"),  # over a weekend
        ("2026-11-20T20:00", 1, "2026-11-23T18:00"),  # after hours: the whole next working day
        ("2026-11-21T12:00", 1, "2026-11-23T18:00"),  # from a Saturday
        ("2026-11-16T06:00", 1, "2026-11-16T18:00"),  # before hours
        ("2026-09-30T10:00", 1, "2026-10-08T10:00"),  # over National Day
        ("2026-02-13T10:00", 1, "2026-02-14T10:00"),  # a Saturday made a workday
        ("2026-02-14T10:00", 3, "2026-02-26T10:00"),  # over the Spring Festival
        ("2026-11-16T10:00", 3, "2026-11-19T10:00"),
    ],
)
def test_working_days_know_holidays_and_make_up_days(start: str, days: int, end: str) -> None:
    assert SHANGHAI.add_working_days(beijing(start), days) == beijing(end)


def test_configuration_adds_holidays_and_workdays() -> None:
    mine = Calendar(holidays=frozenset({date(2026, 11, 17)}), workdays=frozenset({date(2026, 11, 21)}))
    assert mine.add_working_days(beijing("2026-11-16T10:00"), 1) == beijing("2026-11-18T10:00")
    assert mine.add_working_days(beijing("2026-11-20T10:00"), 1) == beijing("2026-11-21T10:00")


def test_a_working_day_follows_the_clock_change_of_its_zone() -> None:
    berlin = Calendar(zone="Europe/Berlin", country="")
    start = datetime.fromisoformat("2026-03-27T10:00+01:00")
    assert berlin.add_working_days(start, 1) == datetime.fromisoformat("2026-03-30T10:00+02:00")


def test_a_calendar_without_working_days_is_refused() -> None:
    with pytest.raises(ValueError, match="no working day within ten years"):
        Calendar(weekdays=(), country="").add_working_days(NOON, 1)
    with pytest.raises(ValidationError, match="must end after it starts"):
        Calendar(start=time(18), end=time(9))


@pytest.mark.parametrize(
    ("severity", "respond", "start"),
    [
        (Severity.P0, "2026-11-20T10:05", "2026-11-20T10:15"),
        (Severity.P1, "2026-11-20T10:30", "2026-11-20T12:00"),
        (Severity.P2, "2026-11-20T12:00", "2026-11-23T10:00"),
        (Severity.P3, "2026-11-23T10:00", "2026-11-25T10:00"),
    ],
)
def test_clocks_are_those_of_the_requirements(severity: Severity, respond: str, start: str) -> None:
    found = deadlines(beijing("2026-11-20T10:00"), severity, DEFAULT_CLOCKS, SHANGHAI)
    assert found == (beijing(respond), beijing(start))


def test_settings_are_read_from_plain_configuration() -> None:
    settings = TypeAdapter(Settings).validate_python(
        {
            "group_by": ["team"],
            "group_wait": {"P2": "1m"},
            "clocks": {"P2": {"respond": "3h", "start": "2 working days"}},
            "calendar": {"zone": "UTC", "start": "08:00", "country": ""},
            "inhibit": [{"source": ["a=1"], "target": {"b": "2"}, "equal": ["job"]}],
            "routes": [{"match": ['team=~"a|b"'], "channels": ["ops"], "severity": ["P0"]}],
        }
    )
    assert settings.wait(Severity.P2) == timedelta(minutes=1)
    assert settings.wait(Severity.P3) == timedelta(minutes=5)
    assert settings.clocks[Severity.P2].start == Term(working_days=2)
    assert settings.calendar.start == time(8)


@pytest.mark.parametrize(
    "wrong",
    [{"group_bye": []}, {"clocks": {"P0": {"respond": "soon", "start": "1h"}}}, {"calendar": {"country": "XX"}},
     {"inhibit": [{"source": ["=~"], "target": ["a=b"]}]}, {"routes": [{"match": ['a=~"("'], "channels": []}]},
     {"routes": [{"match": 3, "channels": []}]}],
)  # fmt: skip
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Settings).validate_python(wrong)


@pytest.mark.parametrize(
    ("text", "labels", "fits"),
    [('a="x"', {"a": "x"}, True), ("a=x", {"a": "x"}, True), ('a!="x"', {}, True), ('a=~"x|y"', {"a": "y"}, True),
     ('a=~"x"', {"a": "xy"}, False), ('a!~"x.*"', {"a": "xy"}, False), ("a=''", {}, True)],
)  # fmt: skip
def test_matchers_mean_what_prometheus_means(text: str, labels: dict[str, str], fits: bool) -> None:
    assert fitting([read_matcher(text)], [labels]) == [fits]


def test_an_alert_never_mutes_itself() -> None:
    rule = InhibitRule(source=(read_matcher("a=1"),), target=(read_matcher("a=1"),))
    assert inhibited([alert("x", a="1"), alert("y", a="1")], [rule]) == {}


def test_the_first_fitting_route_wins_unless_it_passes_on() -> None:
    routes = [
        Route(channels=("pager",), severity=(Severity.P0,), and_next=True),
        Route(channels=("db",), match=(read_matcher("team=db"),)),
        Route(channels=("rest",)),
    ]
    every = ["pager", "db", "rest"]
    assert channels(routes, {"team": "db"}, Severity.P0, every) == ["pager", "db"]
    assert channels(routes, {"team": "web"}, Severity.P1, every) == ["rest"]


def test_when_no_route_fits_everybody_is_told() -> None:
    routes = [Route(channels=("db",), match=(read_matcher("team=db"),))]
    assert channels(routes, {}, Severity.P3, ["a", "b"]) == ["a", "b"]


def test_groups_fall_back_to_the_name_of_the_alert() -> None:
    by = ("service/job", "environment")
    assert group_key({"service": "s", "job": "j", "environment": "PROD"}, by) == "environment=PROD,service=s"
    assert group_key({"job": "j"}, by) == "job=j"
    assert group_key({"alertname": "A", "instance": "i"}, by) == "alertname=A"


def test_the_likely_cause_is_the_service_all_others_lean_on() -> None:
    needs = {"web": ["api"], "api": ["db"]}
    alerts = [alert("w", 0, service="web"), alert("a", 1, service="api"), alert("d", 2, service="db")]
    found = likely_cause(alerts, needs)
    assert found is not None
    assert (found["alert_id"], found["why"]) == ("d", "most_upstream")
    through = likely_cause([alerts[0], alerts[2]], needs)
    assert through is not None
    assert through["alert_id"] == "d"


def test_without_known_dependencies_the_earliest_alert_is_named() -> None:
    found = likely_cause([alert("late", 5, job="x"), alert("early", 1, job="y")])
    assert found == {"alert_id": "early", "rule": "early", "service": "y", "why": "earliest"}
    assert likely_cause([]) is None


def test_an_alert_without_a_summary_is_named_by_rule_and_place() -> None:
    assert title(alert("Down", instance="a:1")) == "Down: a:1"
    assert title(alert("Down"), "en") == "Down"
