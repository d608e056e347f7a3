"""The ``watchkeeper`` command. Heavy imports happen inside the commands that need them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import echo as say

from watchkeeper import __version__
from watchkeeper.app.act_cli import actions_app, switch_app
from watchkeeper.app.audit_cli import audit_app
from watchkeeper.app.config_cli import app as config_app
from watchkeeper.app.demo.command import app as demo_app
from watchkeeper.app.detect_cli import backtest, detect
from watchkeeper.app.events_cli import app as events_app
from watchkeeper.app.import_cli import app as import_app
from watchkeeper.app.logs_cli import logs_app
from watchkeeper.app.plans_cli import plans_app
from watchkeeper.app.privacy_cli import privacy_app
from watchkeeper.app.report_cli import report_app
from watchkeeper.app.risk_cli import risk
from watchkeeper.app.rootcause_cli import rootcause
from watchkeeper.app.rules_commands import rules_app
from watchkeeper.app.scored_cli import scored
from watchkeeper.app.security_cli import security_app
from watchkeeper.app.services_cli import collectors_app, services_app
from watchkeeper.app.store_cli import app as store_app
from watchkeeper.errors import WatchkeeperError

app = typer.Typer(
    name="watchkeeper",
    help="One engine from the sample to the verified fix.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
notify_app = typer.Typer(help="Channels to people.", no_args_is_help=True)
app.add_typer(rules_app, name="rules")
app.add_typer(notify_app, name="notify")
app.add_typer(report_app, name="report")
app.add_typer(demo_app, name="demo")
app.add_typer(config_app, name="config")
app.add_typer(store_app, name="store")
app.add_typer(import_app, name="import")
app.add_typer(services_app, name="services")
app.add_typer(collectors_app, name="collectors")
app.add_typer(events_app, name="events")
app.add_typer(logs_app, name="logs")
app.add_typer(security_app, name="security")
app.add_typer(privacy_app, name="privacy")
app.add_typer(actions_app, name="actions")
app.add_typer(plans_app, name="plans")
app.add_typer(switch_app, name="kill-switch")
app.add_typer(audit_app, name="audit")
app.command()(risk)
app.command()(scored)
app.command()(rootcause)
app.command()(detect)
app.command()(backtest)

#: Commands that run for weeks: what ends them is told with its whole trace.
SERVING = {"engine", "dashboard", "actuator", "agent"}
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Configuration file; default $WATCHKEEPER_CONFIG or ./watchkeeper.yaml."),
]
DataOption = Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")]


def main() -> None:
    """Run; an expected error is one line on standard error and exit code 1."""
    try:
        app()
    except WatchkeeperError as error:
        refuse(str(error))
    except OSError as error:
        if error.filename is None or SERVING & set(sys.argv[1:2]):
            raise
        refuse(f"{error.filename}: {error.strerror}; mend that, or name another file or folder")


def refuse(text: str) -> None:
    sys.stderr.write(f"watchkeeper: {text}\n")
    sys.exit(1)


# --- running ---------------------------------------------------------------------------------------------------------


@app.command()
def version() -> None:
    """Print the version."""
    say(__version__)


@app.command()
def up(config: ConfigOption = None) -> None:
    """Start engine, dashboard and actuator on this host and stay until Ctrl-C."""
    from watchkeeper.app import up as parent
    from watchkeeper.app.wiring import addresses, data_dir, public_url
    from watchkeeper.config import default_path, load

    path = config or default_path()
    loaded = load(path)
    told = public_url(loaded.config)
    raise typer.Exit(parent.run(path, data_dir(loaded.config), told, addresses(loaded.config)))


@app.command()
def engine(config: ConfigOption = None) -> None:
    """Run the engine alone: scrape, store, score, judge, API."""
    from watchkeeper.app.children import die_with_parent
    from watchkeeper.app.serve import serve_engine

    die_with_parent()
    serve_engine(config)


@app.command()
def dashboard(config: ConfigOption = None) -> None:
    """Run the dashboard alone: pages over the engine's API."""
    from watchkeeper.app.children import die_with_parent
    from watchkeeper.app.serve_dashboard import serve_dashboard

    die_with_parent()
    serve_dashboard(config)


@app.command()
def actuator(config: ConfigOption = None) -> None:
    """Run the actuator alone: the only process that changes anything outside."""
    from watchkeeper.app.children import die_with_parent
    from watchkeeper.app.serve_actuator import serve_actuator

    die_with_parent()
    serve_actuator(config)


@app.command()
def agent(config: ConfigOption = None) -> None:
    """Run collectors here and send what they say to an engine elsewhere."""
    from watchkeeper.app.agent import serve_agent

    serve_agent(config)


# --- configuration ---------------------------------------------------------------------------------------------------


@app.command("check-config")
def check_config(config: ConfigOption = None) -> None:
    """Check the whole configuration, rules included, and print the first mistake with file, line and key."""
    from watchkeeper.app.compose import check
    from watchkeeper.config import default_path

    path = config or default_path()
    for line in check(path):
        say(line)


@app.command()
def init(
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("watchkeeper.yaml"),
    host: Annotated[
        list[str] | None, typer.Option(help="Name or address of a host with a node_exporter; repeatable.")
    ] = None,
    exporter: Annotated[list[str] | None, typer.Option(help="URL of an exporter's /metrics page; repeatable.")] = None,
    prometheus: Annotated[str, typer.Option(help="URL of an existing Prometheus-compatible server.")] = "",
    database: Annotated[list[str] | None, typer.Option(help="SQLAlchemy URL of a database; repeatable.")] = None,
    probe: Annotated[list[str] | None, typer.Option(help="URL to probe; repeatable.")] = None,
    dingtalk: Annotated[str, typer.Option(help="Environment variable with the DingTalk robot's URL.")] = "",
    wecom: Annotated[str, typer.Option(help="Environment variable with the WeCom robot's URL.")] = "",
    language: Annotated[str, typer.Option(help="zh-CN or en.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    ask: Annotated[bool, typer.Option("--ask/--no-ask", help="Ask for what no flag says.")] = True,
) -> None:
    """Write a checked configuration, all actions in dry-run."""
    from watchkeeper.app.init import Answers, ask_for, write

    answers = Answers(
        hosts=host or [],
        exporters=exporter or [],
        prometheus=prometheus,
        databases=database or [],
        probes=probe or [],
        dingtalk=dingtalk,
        wecom=wecom,
        language=language,
    )
    if ask and sys.stdin.isatty():
        answers = ask_for(answers)
    say(write(answers, output, force=force))


@app.command()
def doctor(config: ConfigOption = None) -> None:
    """Look at what usually goes wrong and say how to mend it; exit code 1 when something is."""
    from watchkeeper.app.doctor import examine

    findings = examine(config)
    for finding in findings:
        say(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.name}: {finding.detail}")
    raise typer.Exit(0 if all(finding.ok for finding in findings) else 1)


# --- asking a running engine -----------------------------------------------------------------------------------------


@app.command()
def explain(
    subject: str,
    language: Annotated[str, typer.Option(help="en, as the rows were written, or zh-CN.")] = "en",
    data: DataOption = None,
) -> None:
    """Print the whole chain of an alert, incident or action, with the evidence of each step."""
    from watchkeeper.app.client import Client

    found = Client.of(data).get(f"/api/wk/explain/{subject}", language=language)
    say(f"{found['kind']} {found['id']}  (correlation {found['correlation_id']})")
    for line in found["text"]:
        say(line)


@app.command()
def query(
    expr: str,
    time: Annotated[str, typer.Option(help="Unix seconds or RFC 3339; default now.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Prometheus's JSON.")] = False,
    data: DataOption = None,
) -> None:
    """Ask a PromQL question of the running engine."""
    from watchkeeper.app.client import Client

    asked = {"query": expr, **({"time": time} if time else {})}
    answer = Client.of(data).get("/api/v1/query", **asked)
    if as_json:
        say(json.dumps(answer, ensure_ascii=False))
        return
    for line in _answer_lines(answer["data"]):
        say(line)
    for remark in [*answer.get("warnings", ()), *answer.get("infos", ())]:
        sys.stderr.write(f"watchkeeper: {remark}\n")


def _answer_lines(data: dict[str, Any]) -> list[str]:
    if data["resultType"] in ("scalar", "string"):
        return [str(data["result"][1])]
    lines = []
    for row in data["result"]:
        name = row["metric"].get("__name__", "")
        pairs = ", ".join(f'{key}="{value}"' for key, value in sorted(row["metric"].items()) if key != "__name__")
        shown = row["value"][1] if "value" in row else " ".join(point[1] for point in row["values"])
        lines.append(f"{name}{{{pairs}}} {shown}" if pairs or not name else f"{name} {shown}")
    return lines


@notify_app.command("test")
def notify_test(
    name: str,
    language: Annotated[str, typer.Option(help="zh-CN or en.")] = "zh-CN",
    data: DataOption = None,
) -> None:
    """Send a test message through one channel and print what the receiver said."""
    from watchkeeper.app.client import Client

    answer = Client.of(data).post("/api/wk/notify/test", {"channel": name, "language": language})
    say(f"{name}: {answer['state']} {answer['detail']}")
    raise typer.Exit(0 if answer["state"] == "sent" else 1)


# --- arithmetic on files ---------------------------------------------------------------------------------------------


@app.command()
def forecast(
    source: Annotated[Path, typer.Argument(help="CSV with unique_id, ds, y.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV with the quantiles.")],
    horizon: Annotated[int, typer.Option(help="Steps ahead.")] = 24,
) -> None:
    """Forecast series from a file."""
    from watchkeeper.app.files import forecast_path

    forecast_path(source, out, horizon)


@app.command()
def promqltest(files: list[Path], verbose: Annotated[bool, typer.Option("--verbose", "-v")] = False) -> None:
    """Run Prometheus's PromQL conformance scripts and print the counts of each class."""
    from watchkeeper.app.files import promql_conformance

    raise typer.Exit(promql_conformance(files, say, verbose=verbose))


# --- keeping ---------------------------------------------------------------------------------------------------------


@app.command()
def backup(destination: Path, config: ConfigOption = None) -> None:
    """Copy samples, state and journal of the engine, running or stopped, as of one moment."""
    from watchkeeper.app.keep import backup as make

    say(make(config, destination))


@app.command()
def restore(source: Path, config: ConfigOption = None) -> None:
    """Put a backup into an empty data directory."""
    from watchkeeper.app.keep import restore as put

    say(put(config, source))
