"""The engine's own metrics and logs: a ledger that balances, and no secret in any line."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from watchkeeper.ports import Appended
from watchkeeper.telemetry import Telemetry, logger, redact, set_up_logging


def test_the_sample_ledger_balances() -> None:
    telemetry = Telemetry()
    telemetry.count_append("a", Appended(received=10, stored=7, deduplicated=1, rejected={"future": 2}))
    telemetry.count_refused("a", {"parse": 3})
    ledger = telemetry.ledger()
    assert ledger == {
        "received": 13,
        "stored": 7,
        "deduplicated": 1,
        "rejected": {"future": 2, "parse": 3},
        "in_flight": 0,
    }
    settled = ledger["stored"] + ledger["deduplicated"] + sum(ledger["rejected"].values()) + ledger["in_flight"]
    assert ledger["received"] == settled


def test_metrics_are_exposed_as_text() -> None:
    telemetry = Telemetry()
    telemetry.store_stat("series", 12.0)
    text = telemetry.exposition().decode()
    assert 'watchkeeper_store{figure="series"} 12.0' in text
    assert "watchkeeper_build_info" in text


@pytest.mark.parametrize(
    "text",
    [
        "POST https://oapi.dingtalk.com/robot/send?access_token=CANARY&sign=CANARY",
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=CANARY",
        "https://open.feishu.cn/open-apis/bot/v2/hook/CANARY-1",
        "postgresql://user:CANARY@db/x",
        "postgresql://user:a@CANARY@db/x",
        "postgresql://user:a:CANARY@db/x",
        "https://CANARY@git.example.com/x",
        "https://api.example.com/x?api_key=CANARY",
        "Authorization: Bearer CANARY1234",
    ],
)
def test_secrets_are_cut_out_of_text(text: str) -> None:
    assert "CANARY" not in redact(text)
    assert "***" in redact(text)


def test_log_lines_are_json_without_secrets_or_forgery(tmp_path: Path) -> None:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        set_up_logging(tmp_path / "e.log", process="engine", stderr_level=logging.CRITICAL)
        logger("x").warning("sent\nFAKE", url="https://h/?access_token=CANARY", password="CANARY", name="a\u202eb")
        logging.getLogger("plain").warning("key=CANARY")
        logging.getLogger("uvicorn.error").info("connection open")  # one of every page that is looked at
        for handler in root.handlers:
            handler.flush()
        lines = (tmp_path / "e.log").read_text(encoding="utf-8").splitlines()
    finally:
        for handler in list(root.handlers):
            root.removeHandler(handler)
            handler.close()
        for handler in before:
            root.addHandler(handler)
        root.setLevel(level)
    rows = [json.loads(line) for line in lines]
    assert [row["event"] for row in rows] == ["sent\nFAKE", "key=***"]
    assert rows[0]["process"] == "engine"
    assert "CANARY" not in "\n".join(lines)
    assert "\u202e" not in "\n".join(lines)
