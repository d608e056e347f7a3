"""``watchkeeper config import``: what of a Prometheus configuration is taken, translated and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from watchkeeper.config import yaml
from watchkeeper.errors import ConfigError

app = typer.Typer(help="Configurations of other systems.", no_args_is_help=True)

Say = Callable[[str], None]

#: What to do about the other sections of such a file.
SECTIONS = {
    "rule_files": "use `watchkeeper rules import`: rule files are read as they stand",
    "alerting": "Watchkeeper tells people by itself: see `notify` in docs/config.md",
    "remote_write": "not part of scraping: see docs/remote.md",
    "remote_read": "not offered; `prometheus_api` collects answers of another server",
    "scrape_config_files": "import each of these files too",
    "storage": "see `store` in docs/config.md",
    "tracing": "not offered",
    "otlp": "not part of scraping: see docs/remote.md",
    "runtime": "not offered",
}
#: Keys of ``global`` with a counterpart.
GLOBALS = {
    "evaluation_interval": "`rules.interval`",
    "external_labels": "`rules.external_labels`",
}
#: What is understood in another way than Prometheus does.
TRANSLATED = {
    "sample_limit": "known series stay and new ones beyond it are refused and counted; the scrape does not fail",
    "label_limit": "the series over it is refused and counted; the scrape does not fail",
    "label_name_length_limit": "the series over it is refused and counted; the scrape does not fail",
    "label_value_length_limit": "the series over it is refused and counted; the scrape does not fail",
    "kubernetes_sd_configs": "listed every refresh_interval (30s) instead of watched",
    "file_sd_configs": "files are looked at every 5s, whatever refresh_interval says",
}


@app.command("import")
def import_config(
    file: Path,
    to: Annotated[Path, typer.Option(help="File to write.")] = Path("scrape.yml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Take the scrape_configs of a prometheus.yml over, and say what was taken, translated and refused."""
    raise typer.Exit(import_file(file, to, typer.echo, force=force))


def import_file(file: Path, to: Path, say: Say, *, force: bool = False) -> int:
    """0: everything taken; 1: something was refused, and the rest is written. Raises ConfigError."""
    import yaml as pyyaml

    from watchkeeper.app.scrape_files import read

    if to.exists() and not force:
        raise ConfigError("exists already; use --force to overwrite it, or --to for another name", file=str(to))
    document = read(file)
    if not isinstance(document.data, dict):
        raise ConfigError("is no configuration of Prometheus", file=str(file))
    kept, wrong = _entries(document, say)
    others = list(_others(document.data))
    for line in others:
        say(line)
    text = {"scrape_configs": kept}
    to.write_text(pyyaml.safe_dump(text, sort_keys=False, allow_unicode=True), encoding="utf-8")
    say(f"wrote {to} with {len(kept)} scrape configurations; name it in watchkeeper.yaml:")
    say(f"  collect: {{scrape_config_files: [{to}]}}")
    if to.resolve().parent != file.resolve().parent:
        say(f"relative paths in it now start from {to.resolve().parent}")
    return int(wrong or any(line.startswith("refused") for line in others))


def _entries(document: yaml.Document, say: Say) -> tuple[list[dict[str, Any]], bool]:
    """(what can be taken, whether anything could not)."""
    from watchkeeper.app.scrape_files import refused, rows, with_global

    kept, wrong, names = list[dict[str, Any]](), False, set[str]()
    for index, row in enumerate(rows(document)):
        name = row.get("job_name") if isinstance(row, dict) else None
        shown = name or f"scrape_configs[{index}]"
        if not isinstance(row, dict) or name in names:
            say(f"refused     {shown}: " + ("this job_name stands twice" if name in names else "is no mapping"))
            wrong = True
            continue
        names.add(str(name))
        problems = refused(document, index, row)
        for key, why in problems:
            say(f"refused     {shown}: {f'{key}: ' if key else ''}{why}")
        wrong = wrong or bool(problems)
        if any(not key for key, _ in problems):
            continue
        left = {key: value for key, value in row.items() if key not in {key for key, _ in problems}}
        say(f"taken       {shown}: {', '.join(key for key in left if key != 'job_name') or 'defaults'}")
        for key in left:
            if key in TRANSLATED:
                say(f"translated  {shown}: {key}: {TRANSLATED[key]}")
        kept.append(with_global(left, document.data.get("global")))
    return kept, wrong


def _others(data: dict[str, Any]) -> Iterator[str]:
    """What is said of the rest of the file."""
    from watchkeeper.app.scrape_files import INHERITED

    for key in data.get("global") or {}:
        if key in INHERITED:
            yield f"translated  global.{key}: written into each scrape configuration"
        elif key in GLOBALS:
            yield f"refused     global.{key}: write it as {GLOBALS[key]}"
        else:
            yield f"refused     global.{key}: not offered"
    for key in data:
        if key not in ("global", "scrape_configs"):
            yield f"refused     {key}: {SECTIONS.get(key, 'not known here')}"
