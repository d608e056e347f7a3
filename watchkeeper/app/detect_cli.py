"""``watchkeeper detect`` and ``watchkeeper backtest``: files, folders, questions and rules held against history."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import echo as say

from watchkeeper.errors import WatchkeeperError

DataOption = Annotated[Path | None, typer.Option("--data", help="Data directory of the running engine.")]
DetectorOption = Annotated[str, typer.Option("--detector", help="Kind of detector: ensemble, seasonal, ewma ...")]
SettingOption = Annotated[
    list[str] | None, typer.Option("--option", help="Option of the detector, name=value; repeatable.")
]
ColumnsOption = Annotated[str, typer.Option(help="Columns to score, with commas between; default: all of them.")]
SinceOption = Annotated[str, typer.Option(help="How far back a query looks, for example 12h or 7d.")]
StepOption = Annotated[str, typer.Option(help="Distance between two samples of a query.")]


def warn(text: str) -> None:
    sys.stderr.write(f"watchkeeper: {text}\n")


def detect(
    source: Annotated[str, typer.Argument(metavar="FILE|FOLDER|QUERY", help="CSV or Parquet, or PromQL.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="CSV or Parquet timestamp,score,is_anomaly; none: print alarms.")
    ] = None,
    interval: Annotated[float, typer.Option(help="Seconds between rows; 0: from the data.")] = 0.0,
    warmup: Annotated[int, typer.Option(help="Rows at the start that only teach: no alarms.")] = 0,
    columns: ColumnsOption = "",
    detector: DetectorOption = "ensemble",
    option: SettingOption = None,
    since: SinceOption = "1d",
    step: StepOption = "1m",
    data: DataOption = None,
) -> None:
    """Score series of a file, of every file of a folder, or of a PromQL query over the running engine's store.

    Files have a column of times (seconds, milliseconds or ISO 8601; a date without a zone is UTC) and one or more of
    values; several are taken for metrics of one thing. The answer of a query is series,timestamp,score,is_anomaly.
    """
    from watchkeeper.app.asking_series import is_query
    from watchkeeper.app.detecting import How, detect_path, detect_query

    how = How(interval=interval, warmup=warmup, columns=split(columns), detector=detector, options=settings(option))
    if is_query(source):
        detect_query(source, out, how, (since, step, data), say)
    else:
        detect_path(Path(source), out, how, warn, say)


def backtest(
    source: Annotated[str, typer.Argument(metavar="FILE|QUERY|RULES.yaml", help="CSV, Parquet, PromQL, or rules.")],
    picture: Annotated[Path | None, typer.Option("--picture", "-p", help="SVG of what it would have done.")] = None,
    detector: DetectorOption = "ensemble",
    option: SettingOption = None,
    learning: Annotated[str, typer.Option(help="For how long a series is learned before an alarm.")] = "1h",
    columns: ColumnsOption = "",
    rule: Annotated[str, typer.Option(help="One rule of the file; default: every one.")] = "",
    since: SinceOption = "7d",
    step: StepOption = "1m",
    zone: Annotated[str, typer.Option(help="Time zone of what is printed and drawn.")] = "UTC",
    data: DataOption = None,
) -> None:
    """Say what a detector or rules would have told of history: when, what kind, how far outside, for how long.

    A file of rules (.yaml) runs over the running engine's store, and so does a PromQL query by a detector; a file
    of series needs no engine. Where it has a column `label`, events found and false alarms are counted.
    """
    from watchkeeper.app.backtesting import Asked, of_file, of_query, of_rules

    asked = Asked(
        detector=detector, options=settings(option), learning=learning, columns=split(columns), rule=rule,
        since=since, step=step, zone=zone, picture=picture,
    )  # fmt: skip
    if source.endswith((".yaml", ".yml")):
        of_rules(Path(source), asked, data, say)
    elif Path(source).exists() or not _is_query(source):
        of_file(Path(source), asked, warn, say)
    else:
        of_query(source, asked, data, say)


def _is_query(text: str) -> bool:
    from watchkeeper.app.asking_series import is_query

    return is_query(text)


def split(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def settings(given: list[str] | None) -> dict[str, Any]:
    """name=value as YAML reads values, so that numbers are numbers."""
    import yaml

    found = {}
    for one in given or ():
        name, there, value = one.partition("=")
        if not there:
            raise WatchkeeperError(f"--option {one}: write name=value")
        found[name.strip()] = yaml.safe_load(value)
    return found
