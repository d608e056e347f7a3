"""Init: whatever it writes is accepted by check-config, and nothing it writes holds a secret or an action."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from watchkeeper.app.cli import app
from watchkeeper.app.compose import check
from watchkeeper.app.init import Answers, ask_for, build, write
from watchkeeper.config import load
from watchkeeper.errors import ConfigError

EVERYTHING = Answers(
    hosts=["10.0.0.5", "web:9200", "2001:db8::7", "[2001:db8::8]:9101"],
    exporters=["http://web:9100/metrics", "http://db:9100/metrics", "http://web:9100/other"],
    prometheus="http://prometheus:9090",
    databases=["postgresql+psycopg://watch:${DB_PASSWORD}@db:5432/shop", "sqlite:////srv/shop.db"],
    probes=["https://shop.example.com/health", "https://shop.example.com/login"],
    dingtalk="DING_URL",
    wecom="WECOM_URL",
    language="en",
)


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "pass")
    monkeypatch.setenv("DING_URL", "https://oapi.dingtalk.com/robot/send?access_token=abc")
    monkeypatch.setenv("WECOM_URL", "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abc")


@pytest.mark.parametrize(
    "answers",
    [
        Answers(),
        Answers(hosts=EVERYTHING.hosts),
        Answers(exporters=EVERYTHING.exporters),
        Answers(prometheus=EVERYTHING.prometheus),
        Answers(databases=EVERYTHING.databases),
        Answers(probes=EVERYTHING.probes),
        Answers(dingtalk="DING_URL"),
        Answers(wecom="WECOM_URL", language="zh-CN"),
        EVERYTHING,
    ],
    ids=["nothing", "hosts", "exporters", "prometheus", "databases", "probes", "dingtalk", "wecom", "everything"],
)
def test_check_config_accepts_what_init_wrote(answers: Answers, tmp_path: Path) -> None:
    file = tmp_path / "watchkeeper.yaml"
    assert f"Next: watchkeeper check-config --config {file} &&" in write(answers, file, force=False)
    said = check(file)
    sources = [*answers.hosts, *answers.exporters, *answers.databases, *answers.probes]
    assert f"sources: {len(sources) + bool(answers.prometheus)} configured, and this machine" in said
    assert f"channels: {bool(answers.dingtalk) + bool(answers.wecom)}" in said


def test_names_are_different_and_say_where(tmp_path: Path) -> None:
    write(EVERYTHING, tmp_path / "w.yaml", force=False)
    loaded = load(tmp_path / "w.yaml")
    assert [source.name for source in loaded.config.collect.sources] == [
        *("10.0.0.5-9100", "web-9200", "2001:db8::7-9100", "2001:db8::8-9101"),
        *("web-9100", "db-9100", "web-9100-2", "prometheus", "db-db-5432", "db-source"),
        *("probe-shop.example.com", "probe-shop.example.com-2"),
    ]
    assert loaded.config.language == "en"


def test_a_host_is_asked_at_its_node_exporter() -> None:
    urls = [source["url"] for source in build(Answers(hosts=EVERYTHING.hosts))["collect"]["sources"]]
    assert urls == [
        "http://10.0.0.5:9100/metrics",
        "http://web:9200/metrics",
        "http://[2001:db8::7]:9100/metrics",
        "http://[2001:db8::8]:9101/metrics",
    ]


def test_secrets_stay_in_the_environment(tmp_path: Path) -> None:
    write(EVERYTHING, tmp_path / "w.yaml", force=False)
    text = (tmp_path / "w.yaml").read_text()
    assert "access_token" not in text
    for name in ("DB_PASSWORD", "DING_URL", "WECOM_URL"):
        assert f"${{{name}}}" in text


def test_the_file_can_be_written_before_the_variables_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DB_PASSWORD", "DING_URL", "WECOM_URL"):
        monkeypatch.delenv(name)
    write(EVERYTHING, tmp_path / "w.yaml", force=False)
    with pytest.raises(ConfigError, match="DB_PASSWORD"):
        check(tmp_path / "w.yaml")


def test_no_action_is_configured() -> None:
    assert "remediation" not in build(EVERYTHING)


def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    file.write_text("language: en\n")
    with pytest.raises(ConfigError, match="exists already; use --force"):
        write(Answers(), file, force=False)
    assert file.read_text() == "language: en\n"
    write(Answers(), file, force=True)
    assert "zh-CN" in file.read_text()


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        (Answers(language="fr"), "language"),
        (Answers(exporters=["web:9100"]), "url must be"),
        (Answers(prometheus="prometheus"), "url must be"),
        (Answers(databases=["not a url"]), "url"),
        (
            Answers(databases=["postgresql+psycopg://watch:hunter2@db/shop"]),
            r"^database: the password .* as \$\{NAME\}",
        ),
    ],
)
def test_a_wrong_answer_is_refused_before_anything_is_written(answers: Answers, why: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=why):
        write(answers, tmp_path / "w.yaml", force=False)
    assert not (tmp_path / "w.yaml").exists()


def test_only_what_no_flag_said_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def prompt(question: str, default: str = "") -> str:
        asked.append(question)
        return " http://a/metrics, ,http://b/metrics " if question.startswith("Exporters") else default

    monkeypatch.setattr(typer, "prompt", prompt)
    found = ask_for(Answers(language="en", prometheus="http://p:9090", wecom="W"))
    assert (found.exporters, found.prometheus, found.wecom) == (
        ["http://a/metrics", "http://b/metrics"],
        "http://p:9090",
        "W",
    )
    assert [question.split()[0] for question in asked] == [*("Other", "Exporters:", "Databases:", "Web", "DingTalk")]


def test_the_command_writes_and_checks(tmp_path: Path) -> None:
    file = str(tmp_path / "w.yaml")
    run = CliRunner().invoke
    made = run(
        app,
        [
            "init",
            "-o",
            file,
            "--host",
            "web",
            "--exporter",
            "http://db/metrics",
            "--probe",
            "https://shop/",
            "--no-ask",
        ],
    )
    assert made.exit_code == 0, made.output
    checked = run(app, ["check-config", "-c", file])
    assert "sources: 3 configured" in checked.output
