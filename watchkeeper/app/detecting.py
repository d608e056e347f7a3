"""``watchkeeper detect``: series of a file, a folder or a query in; scores and alarms out, in the same order."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from watchkeeper.app.series_files import FileError, Table, ordered, read_table, read_text
from watchkeeper.app.series_times import are_real, interval_of
from watchkeeper.model import METRIC_NAME, Matrix

Say = Callable[[str], None]
#: What is read of a folder.
SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What the command line said."""

    interval: float = 0.0  #: seconds between two rows; 0: from the data
    warmup: int = 0  #: rows at the start that only teach
    columns: Sequence[str] = ()
    detector: str = "ensemble"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Job:
    """One series, or several metrics of one thing, on the way to its scores."""

    name: str
    table: Table
    interval: float
    warmup: int
    score: Any = None  #: [row of the table], as alarm
    alarm: Any = None


def detect_path(source: Path, out: Path | None, how: How, warn: Say, say: Say) -> None:
    """Score one file, or every series of a folder in one batch (meta.csv: file,interval,warmup)."""
    jobs = [_job(path, how, about) for path, about in _files(source)]
    score(jobs, how)
    for job in jobs:
        for note in job.table.notes:
            warn(f"{job.name}: {note}")
    if out is None:
        for job in jobs:
            tell(job, say)
    elif not source.is_dir():
        write(jobs[0], out)
    else:
        out.mkdir(parents=True, exist_ok=True)
        for job in jobs:
            write(job, out / Path(job.name).name)


def detect_query(expr: str, out: Path | None, how: How, span: tuple[str, str, Path | None], say: Say) -> None:
    """Score what the running engine has stored; ``span``: how far back, in which steps, and its data directory."""
    from watchkeeper.app.asking_series import ask
    from watchkeeper.app.client import Client
    from watchkeeper.app.replaying import counted, own_name, rates

    since, step, data = span
    matrix = ask(Client.of(data), expr, since, step)
    seen = rates(matrix, counted(matrix))
    stamps = [f"{one / 1000:.15g}" for one in matrix.times.tolist()]
    jobs = [
        Job(own_name(series), Table(stamps=stamps, times=matrix.times / 1000.0, values=seen.values[row][:, None],
                                    columns=["value"]), 0.0, how.warmup)
        for row, series in enumerate(matrix.series)
    ]  # fmt: skip
    score(jobs, how)
    if out is None:
        for job in jobs:
            tell(job, say)
    else:
        write_together(jobs, out)


def score(jobs: Sequence[Job], how: How) -> None:
    """Fill in scores and alarms, each row's from the rows before it alone."""
    from detectors.evaluate import score_batch

    tables = [ordered(job.table) for job in jobs]
    if how.detector == "ensemble" and not how.options:
        series = [
            (one.times, one.values[:, 0] if one.values.shape[1] == 1 else one.values,
             {"id": job.name, "interval_s": _interval(job, one.times), "warmup": job.warmup})
            for job, one in zip(jobs, tables, strict=True)
        ]  # fmt: skip
        found = score_batch(series)
    else:
        found = [_by_kind(how, job, one.times, one.values) for job, one in zip(jobs, tables, strict=True)]
    for job, one, (value, alarm) in zip(jobs, tables, found, strict=True):
        job.score, job.alarm = np.asarray(value)[one.place], np.asarray(alarm, np.bool_)[one.place]
        job.alarm[: job.warmup] = False


def _interval(job: Job, times: Any) -> float | None:
    return job.interval or (interval_of(times) if are_real(times) else 0.0) or None


def _by_kind(how: How, job: Job, times: Any, values: Any) -> tuple[Any, Any]:
    """Of any kind of detector; of several columns the largest score counts, and any alarm."""
    real = are_real(times)
    step = _interval(job, times) or 60.0
    moments = times * 1000.0 if real else np.arange(len(times)) * step * 1000.0
    matrix = matrix_of(job.table.columns, moments.astype(np.int64), values.T)
    scores = built(how.detector, how.options, clocked=real).score(matrix)
    alarms = np.zeros(matrix.values.shape) if scores.alarm is None else scores.alarm
    known = ~np.isnan(scores.value).all(axis=0)
    value = np.where(known, np.nanmax(np.where(np.isnan(scores.value), -1.0, scores.value), axis=0), np.nan)
    return value, (np.nan_to_num(alarms) > 0).any(axis=0)


def matrix_of(names: Sequence[str], times_ms: Any, values: Any) -> Matrix:
    return Matrix(
        series=tuple(((METRIC_NAME, name),) for name in names),
        times=times_ms,
        values=np.ascontiguousarray(values),
        present=~np.isnan(values),
    )


def built(kind: str, options: Mapping[str, Any], *, clocked: bool = True) -> Any:
    """A detector with these options; where times are not real, without the time of day. Raises ConfigError."""
    from detectors import BUILTIN
    from watchkeeper.registry import Registry

    registry = Registry("detectors", BUILTIN)
    fields = getattr(registry.get(kind), "__dataclass_fields__", {})
    season = {"season": False} if "season" in fields and not clocked else {}
    return registry.build(kind, {**season, **options}, key=f"--detector {kind}")


def _files(source: Path) -> list[tuple[Path, Mapping[str, Any]]]:
    if not source.is_dir():
        found = [source] if source.exists() else []
    else:
        found = sorted(one for one in source.iterdir() if one.suffix in SUFFIXES and one.name != "meta.csv")
    if not found:
        raise FileError(f"{source}: there is nothing to score: no file, or a folder without .csv and .parquet")
    about = _meta(source / "meta.csv") if source.is_dir() else {}
    return [(one, about.get(one.name, {})) for one in found]


def _job(path: Path, how: How, about: Mapping[str, Any]) -> Job:
    return Job(
        name=str(path),
        table=read_table(path, how.columns),
        interval=about.get("interval", how.interval),
        warmup=about.get("warmup", how.warmup),
    )


def _meta(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    found = {}
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    for row in reader:
        try:
            found[row["file"]] = {"interval": float(row["interval"] or 0), "warmup": int(float(row["warmup"] or 0))}
        except (KeyError, ValueError) as error:
            raise FileError(f"{path}:{reader.line_num}: needs file,interval,warmup with numbers ({error})") from None
    return found


# --- what is said ----------------------------------------------------------------------------------------------------


def rows_of(job: Job) -> Iterator[list[Any]]:
    """[time as it came, score, 0 or 1]; an unknown score is empty."""
    for when, one, flag in zip(job.table.stamps, job.score.tolist(), job.alarm.tolist(), strict=True):
        yield [when, "" if one != one else f"{one:.6g}", int(flag)]


def write(job: Job, out: Path) -> None:
    """timestamp,score,is_anomaly in the order of the input; Parquet where the name says so."""
    if out.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {"timestamp": list(job.table.stamps), "score": job.score, "is_anomaly": job.alarm.astype(np.int8)}
        pq.write_table(pa.table(columns), out)
        return
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "score", "is_anomaly"])
        writer.writerows(rows_of(job))


def write_together(jobs: Sequence[Job], out: Path) -> None:
    """series,timestamp,score,is_anomaly: the answer to a query, one series after the other."""
    with open(out, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["series", "timestamp", "score", "is_anomaly"])
        for job in jobs:
            writer.writerows([job.name, *row] for row in rows_of(job))


def tell(job: Job, say: Say) -> None:
    """What a person reads: every alarm with its value."""
    rings = np.flatnonzero(job.alarm)
    known = int(np.count_nonzero(~np.isnan(job.score)))
    say(f"{job.name}: {len(job.score)} samples, {known} scored, {len(rings)} alarms")
    for at in rings.tolist():
        values = ", ".join(
            f"{name} {value:g}" for name, value in zip(job.table.columns[:4], job.table.values[at, :4], strict=True)
        )
        say(f"    {job.table.stamps[at]}  score {job.score[at]:.2f}  {values}")
