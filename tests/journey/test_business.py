"""A shop on a real PostgreSQL, Watchkeeper as a user starts it: figures, alerts, forecasts, report."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from support import shop
from support.kept import Kept, kept_for
from support.servers import postgres_server
from support.up import Up, running

import rules

pytestmark = pytest.mark.servers

#: The rules as they are delivered, looked at more often.
PACK = Path(rules.__file__).parent / "packs" / "business.yaml"
ZONE = shop.quiet_zone()
YESTERDAY = datetime.now(ZONE).date() - timedelta(days=1)
ODD = shop.Day(paid=20, failed=3, cancelled=2, refunded=2, pending=1, users=9)

#: One estate for all tests, on each store.
kept = kept_for("module")


@pytest.fixture(scope="module")
def up(kept: Kept, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("business")
    with postgres_server(folder) as server:
        database = create_engine(server.url)
        shop.create(database)
        shop.fill(database, YESTERDAY - timedelta(days=45), YESTERDAY, {YESTERDAY: ODD}, zone=ZONE)
        shop.add_job(database, 1, "queued", datetime.now(UTC) - timedelta(minutes=20))
        with database.begin() as connection:
            connection.execute(text("CREATE ROLE reader LOGIN"))
            connection.execute(text("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"))
        shops = [{"name": "shop", "url": server.url.replace("postgres@", "reader@"), "owner": "sales", "jobs": "jobs"}]
        (folder / "rules").mkdir()
        (folder / "rules" / "business.yaml").write_text(PACK.read_text("utf-8").replace("interval: 1m", "interval: 5s"))
        with running(
            folder,
            time_zone=ZONE.key,
            business={"shops": shops, "history": "60d"},
            collect={"host": False, "own_logs": False},
            rules={"packs": [], "directories": ["rules"]},
        ) as found:
            found.sign_in()
            yield found
        database.dispose()


def by_name(up: Up, path: str) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in up.ask("GET", path)["rows"]}


def test_an_account_that_may_only_read_is_enough_for_a_history_on_day_one(up: Up) -> None:
    found = up.until("figures", lambda: _read(by_name(up, "/api/wk/business")))
    assert found["shop.revenue"]["exact"] == str(ODD.revenue)
    assert found["shop.orders"]["value"] == ODD.orders
    assert found["shop.orders"]["periods"] == 46
    assert found["shop.active_users"]["value"] == ODD.users
    assert (found["shop.payment_success"]["value"], found["shop.payment_success"]["status"]) == (22 / 25, "bad")
    assert found["shop.stuck_job_age"]["current"]["value"] >= 1200


def _read(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Nothing while a ratio, read last, has no value, or while what was kept has not been judged."""
    last = found["shop.refund_rate"]["value"], found["shop.payment_success"]["status"]
    return found if last[0] is not None and last[1] != "unknown" else {}


def test_the_missed_target_and_the_stuck_job_become_alerts(up: Up) -> None:
    def firing() -> set[str]:
        alerts = up.ask("GET", "/api/v1/alerts")["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    wanted = {"BusinessPaymentSuccessLow", "BusinessJobsStuck"}
    up.until("alerts", lambda: firing() >= wanted, seconds=150)


def test_forecasts_are_made_and_the_command_writes_the_report(up: Up, tmp_path: Path) -> None:
    made = up.until(
        "forecasts",
        lambda: [row for row in by_name(up, "/api/wk/predictions").values() if row["made_at"]],
        seconds=120,
    )
    assert {row["unknown"] for row in made} == {""}
    command = [sys.executable, "-m", "watchkeeper", "report", "business", "-o", str(tmp_path), "--data", str(up.data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(tmp_path / "business.html"), str(tmp_path / "business.csv")]
    with (tmp_path / "business.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = {line["名称"]: line for line in csv.DictReader(file)}
    assert lines["shop.revenue"]["数值"] == str(ODD.revenue)
    assert lines["shop.payment_success"]["状态评级"] == "未达标"
    assert "¥" in (tmp_path / "business.html").read_text(encoding="utf-8")
