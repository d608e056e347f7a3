"""The business section refuses what could not work, and a shop writes out its own figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from watchkeeper.config import load
from watchkeeper.config.business import Business
from watchkeeper.config.shop import all_kpis
from watchkeeper.errors import ConfigError

SQL = {"kind": "sql", "url": "sqlite:///a.db", "query": "SELECT 1"}
SHOP = {"name": "shop", "url": "sqlite:///shop.db"}


def refused(folder: Path, **section: Any) -> str:
    file = folder / "watchkeeper.yaml"
    file.write_text(yaml.safe_dump({"business": section}), encoding="utf-8")
    with pytest.raises(ConfigError) as found:
        load(file, environment={})
    return str(found.value)


@pytest.mark.parametrize(
    ("kpi", "said"),
    [
        ({"source": {"kind": "sql", "query": "SELECT 1"}}, "a source of kind sql needs url"),
        ({"source": {"kind": "ratio", "numerator": "a"}}, "needs denominator"),
        ({"source": {"kind": "ratio", "numerator": "a", "denominator": "b"}}, "is a ratio of 'a', which is no KPI"),
        ({"source": SQL, "direction": "band"}, "belong together"),
        ({"source": SQL, "direction": "band", "band": [100, 50]}, "lower edge first"),
        ({"source": SQL, "target": 1, "relative": {"change": 0.2}}, "only one of them"),
        ({"source": SQL, "relative": {"change": 0.2, "to": "baseline"}}, "needs baseline or baseline_date"),
        ({"source": {**SQL, "time_zone": "Mars/Olympus"}}, "is not a time zone"),
        ({"source": SQL, "warn": 2}, "less than or equal to 1"),
        ({"source": SQL, "goal": 1}, "unknown key"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, kpi: dict[str, Any], said: str) -> None:
    message = refused(tmp_path, kpis=[{"name": "x", **kpi}])
    assert said in message
    assert "watchkeeper.yaml" in message


def test_names_differ_and_ratios_count_by_the_same_period(tmp_path: Path) -> None:
    one = {"name": "shop.orders", "source": SQL}
    assert "share the name 'shop.orders'" in refused(tmp_path, kpis=[one], shops=[SHOP])
    share = {"name": "s", "source": {"kind": "ratio", "numerator": "x", "denominator": "shop.orders"}}
    said = refused(tmp_path, kpis=[{"name": "x", "period": "hour", "source": SQL}, share], shops=[SHOP])
    assert "counts by day, but 'x' by hour" in said


@pytest.mark.parametrize("name", ["orders; DROP TABLE orders", "orders--", "a.b.c.d", "1st", ""])
def test_table_names_that_are_no_names_never_reach_a_statement(tmp_path: Path, name: str) -> None:
    assert "business" in refused(tmp_path, shops=[{**SHOP, "orders": name}])


def test_a_shop_has_its_figures_and_ratios_come_last() -> None:
    section = Business.model_validate({"shops": [{**SHOP, "jobs": "jobs", "currency": "CNY"}]})
    found = {kpi.name: kpi for kpi in all_kpis(section)}
    assert {"shop.orders", "shop.revenue", "shop.active_users", "shop.payment_success", "shop.refund_rate",
            "shop.conversion", "shop.stuck_job_age"} <= found.keys()  # fmt: skip
    assert [name for name, kpi in found.items() if kpi.group == "funnel"] == [
        "shop.orders_pending",
        "shop.orders_paid",
        "shop.orders_failed",
        "shop.orders_cancelled",
        "shop.orders_refunded",
    ]
    kinds = [kpi.source.kind for kpi in found.values()]
    assert kinds == sorted(kinds, key=lambda kind: kind == "ratio")
    assert (found["shop.revenue"].unit, found["shop.revenue"].source.minor_units) == ("CNY", 2)
    assert "shop.stuck_job_age" not in {kpi.name for kpi in all_kpis(Business.model_validate({"shops": [SHOP]}))}
