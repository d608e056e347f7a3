"""Hostile questions: the API refuses what it cannot answer, quickly, and lives on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from support.engines import engine

from watchkeeper.access.roles import Role
from watchkeeper.access.tokens import create_system_token
from watchkeeper.app.api.app import create


@pytest.fixture
def api(tmp_path: Path) -> Iterator[TestClient]:
    with engine(tmp_path) as house:
        house.judging.start(house.clock.now())
        token, _ = create_system_token(house.state, "reader", Role.OPERATOR, now=house.clock.now())
        headers = {"Authorization": f"Bearer {token}"}
        with TestClient(create(house), headers=headers, raise_server_exceptions=False) as client:
            yield client


DEEP = {
    "chain": "+".join(["1"] * 6000),
    "brackets": "(" * 20_000 + "1" + ")" * 20_000,
    "calls": "abs(" * 20_000 + "up" + ")" * 20_000,
    "hidden in a comment": '#"\n' + "(" * 20_000 + "1" + ")" * 20_000 + '\n#"',
    "past the recursion limit": "(" * 700 + "1" + ")" * 700,
    "hard to evaluate": "abs(" * 300 + "up" + ")" * 300,
}


@pytest.mark.parametrize("name", DEEP)
def test_a_query_nested_without_end_is_refused_and_the_engine_lives(api: TestClient, name: str) -> None:
    answer = api.post("/api/v1/query", data={"query": DEEP[name]})
    assert answer.status_code in (200, 400)
    if name != "hard to evaluate":
        assert "too deeply nested" in answer.json()["error"]
    assert api.get("/api/v1/query", params={"query": "1 + 1"}).json()["data"]["result"][1] == "2"


def test_a_regular_expression_full_of_brackets_is_no_nesting(api: TestClient) -> None:
    many = "|".join(f"(a{number})" for number in range(2000))
    answer = api.post("/api/v1/query", data={"query": f'up{{job=~"{many}"}}'})
    assert answer.status_code == 200


@pytest.mark.parametrize("moment", ["1e300", "-1e300", "1e16", "nan", "inf"])
def test_a_time_beyond_all_calendars_is_a_bad_parameter(api: TestClient, moment: str) -> None:
    answer = api.get("/api/v1/query", params={"query": "up", "time": moment})
    assert answer.status_code == 400
    assert answer.json()["errorType"] == "bad_data"


@pytest.mark.parametrize("edge", [-(10**30), -1, 10**16, 10**30])
def test_a_chart_beyond_all_calendars_is_refused(api: TestClient, edge: int) -> None:
    asked: dict[str, Any] = {"expr": "vector(1)", "start_ms": 0, "end_ms": edge, "step_ms": 10**12}
    assert api.get("/api/wk/chart", params=asked).status_code == 422


def test_a_chart_of_many_points_is_drawn_without_a_band_instead_of_blocking(api: TestClient) -> None:
    asked: dict[str, Any] = {"expr": "vector(1)", "start_ms": 0, "end_ms": 10_999, "step_ms": 1}
    series = api.get("/api/wk/chart", params=asked).json()["series"]
    assert len(series[0]["points"]) == 11_000
    assert "score" not in series[0]


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", "[z-a]", "(?=x)"])
def test_a_silence_with_a_broken_pattern_is_refused_for_it_would_stop_every_later_alert(
    api: TestClient, pattern: str
) -> None:
    asked = {"matchers": [["job", "=~", pattern]], "duration": "1h", "comment": "quiet"}
    assert api.post("/api/wk/silences", json=asked).status_code == 422
    assert api.get("/api/wk/silences").json()["silences"] == []


@pytest.mark.parametrize("duration", ["0s", "367d", "8000y", "99999999999999999999y", "soon"])
def test_a_silence_lasts_more_than_nothing_and_at_most_a_year(api: TestClient, duration: str) -> None:
    asked = {"matchers": [["job", "=", "node"]], "duration": duration, "comment": "quiet"}
    answer = api.post("/api/wk/silences", json=asked)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("duration: ")


DOUBLED = "label_replace(" * 14 + 'vector(1), "a", "aaaaaaaa", "", "")' + ', "a", "$1$1", "a", "(.+)")' * 13


@pytest.mark.parametrize(
    "expr",
    [
        DOUBLED,
        f"""label_replace(vector(1), "a", "{"x" * 70_000}", "", "")""",
        f"""label_join(label_replace(vector(1), "a", "{"x" * 60_000}", "", ""), "b", "", "a", "a")""",
    ],
    ids=["doubled", "written", "joined"],
)
def test_a_label_value_that_grows_without_end_is_refused(api: TestClient, expr: str) -> None:
    answer = api.post("/api/v1/query", data={"query": expr})
    assert answer.status_code == 422
    assert "longer than 65536 characters" in answer.json()["error"]


def test_counting_values_that_are_all_different_is_refused_before_the_memory_is_taken(api: TestClient) -> None:
    asked: dict[str, Any] = {"query": 'count_values("v", vector(time()))', "start": 0, "end": 10_999, "step": 1}
    answer = api.post("/api/v1/query_range", data=asked)
    assert answer.status_code == 422
    assert "too many samples" in answer.json()["error"]


@pytest.mark.parametrize("moment", ["1e15", "9e11", "-1e300"])
def test_a_fixed_time_that_the_parser_cannot_hold_is_a_bad_query(api: TestClient, moment: str) -> None:
    answer = api.get("/api/v1/query", params={"query": f"up @ {moment}"})
    assert answer.status_code == 400
    assert "between 1970" in answer.json()["error"]


def test_labels_of_thousands_of_digits_have_an_order(api: TestClient) -> None:
    values = ["9" * 5000, "1" + "0" * 5000, "00" + "8" * 5000]
    made = " or ".join(f"""label_replace(vector(1), "a", "{value}", "", "")""" for value in values)
    answer = api.post("/api/v1/query", data={"query": f'sort_by_label({made}, "a")'})
    assert [row["metric"]["a"] for row in answer.json()["data"]["result"]] == [values[2], values[0], values[1]]


@pytest.mark.parametrize("name", ["each", "target"])
def test_per_cents_of_a_billion_places_are_refused(api: TestClient, name: str) -> None:
    asked = {"count": "2", "each": "99.9", "target": "99"} | {name: "1e-999999999"}
    assert api.get("/api/wk/slo/composite", params=asked).status_code == 400


def test_a_silence_of_a_book_is_refused(api: TestClient) -> None:
    for matcher in (["a" * 2000, "=", "x"], ["a", "=", "x" * 20_000]):
        asked = {"matchers": [matcher], "duration": "1h", "comment": "quiet"}
        assert api.post("/api/wk/silences", json=asked).status_code == 422


@pytest.mark.parametrize("kind", ["capacity", "cost", "business", "sla"])
def test_a_report_in_no_language_is_refused(api: TestClient, kind: str) -> None:
    assert api.post(f"/api/wk/reports/{kind}", json={"language": "../x"}).status_code == 422
