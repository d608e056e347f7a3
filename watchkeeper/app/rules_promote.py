"""``watchkeeper rules promote``: rules that have proven themselves in one environment, written for the next."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rules.lint import lint as find
from rules.load import load, load_text
from rules.promotion import Merge, Promotion, Step, as_yaml, has_comments, merge, named, promote
from watchkeeper.app.client import Client
from watchkeeper.app.rules_cli import tell_findings
from watchkeeper.config.yaml import AsWritten, Document, read
from watchkeeper.errors import ConfigError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the command line asks for."""

    step: Step
    source: Path
    group: str = ""  #: this group of ``source`` alone
    into: Path | None = None
    targets: Mapping[str, str] | None = None  #: of remediations: name here -> name there
    replace: bool = False
    dry_run: bool = False


def wanted(what: str, config: Path | None) -> tuple[Path, str]:
    """A rule file and, where ``what`` is the name of a group of the configured folders, that group."""
    if Path(what).is_file():
        return Path(what), ""
    from watchkeeper.app.compose import rule_paths
    from watchkeeper.config import default_path
    from watchkeeper.config import load as load_config

    paths = rule_paths(load_config(config or default_path()))
    found = [path for path in paths if any(group.name == what for group in load([path]).groups)]
    if len(found) != 1:
        where = ", ".join(map(str, found)) or "no rule file of the configuration"
        raise ConfigError(f"{what!r} is no file, and {where} has a group of that name; name one file")
    return found[0], what


def run(wish: Wish, say: Say) -> tuple[int, Path | None]:
    """Exit code, and the file written. Raises ConfigError when nothing can be promoted, or something would be lost."""
    load([wish.source])  # a mistake is told with its place
    document = read(wish.source, environment=AsWritten())
    found = promote(document, wish.step, group=wish.group, targets=wish.targets)
    target = wish.into or named(wish.source, wish.step)
    if target.resolve() == wish.source.resolve():
        raise ConfigError("is the file promoted from; rules of an environment have a file of their own", key="--into")
    old, there = _there(target)
    merged = merge(there, found.data)
    if merged.data == (there or {}):
        say(f"{target}: has all of them already; nothing to do")
        return 0, None
    text = as_yaml(merged.data)
    say("".join(difflib.unified_diff(_lines(old), _lines(text), str(target), str(target))).rstrip("\n"))
    _tell(wish, found, merged, old, say)
    _refuse(wish, merged, target)
    book = load_text(text, str(target))
    _refuse_names({one.name for one in book.remedies}, target)
    if tell_findings(find(book), say):
        say(f"{target}: not written: it does not pass the lint")
        return 1, None
    if wish.dry_run:
        say(f"{target}: not written (--dry-run)")
        return 0, None
    _write(target, text)
    say(f"{target}: written")
    return 0, target


def tell_engine(client: Client, target: Path, what: str, step: Step) -> str:
    """A change event of the running engine, so that the promotion stands among the changes. Its id."""
    body = {
        "kind": "change",
        "title": f"rules {what} promoted from {step.source} to {step.target}",
        "environment": step.target,
        "labels": {"file": target.name, "promoted_from": step.source},
    }
    return str(client.post("/api/wk/events", body)["added"][0])


def _there(target: Path) -> tuple[str, dict[str, Any] | None]:
    if not target.exists():
        return "", None
    load([target])
    document: Document = read(target, environment=AsWritten())
    return target.read_text(encoding="utf-8"), document.data


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _tell(wish: Wish, found: Promotion, merged: Merge, old: str, say: Say) -> None:
    for note in found.notes:
        say(f"note: {note}")
    if found.left:
        say(f"note: rules that are not of {wish.step.source} and stay where they are: {found.left}")
    source = wish.source.read_text(encoding="utf-8")
    for file, text in ((wish.source, source), (wish.into or named(wish.source, wish.step), old)):
        if has_comments(text):
            say(f"note: comments of {file} outside expressions are not kept")
    for conflict in merged.conflicts if wish.replace else ():
        say(f"note: {conflict}: replaced")


def _refuse(wish: Wish, merged: Merge, target: Path) -> None:
    if merged.conflicts and not wish.replace:
        different = ", ".join(merged.conflicts)
        raise ConfigError(
            f"has other rules of these names: {different}; write --replace to overwrite", file=str(target)
        )


def _refuse_names(names: set[str], target: Path) -> None:
    """Names of remediations are one to an engine: two of a name would keep it from reading any of its rules."""
    for path, other in _others(target):
        if names & other:
            taken = ", ".join(sorted(names & other))
            raise ConfigError(f"{path} has remediations of these names: {taken}; rename them", file=str(target))


def _others(target: Path) -> Iterator[tuple[Path, set[str]]]:
    for path in _siblings(target):
        try:
            yield path, {one.name for one in load([path]).remedies}
        except ConfigError:  # no rule file, such as one of rule tests: no engine has it either
            continue


def _siblings(target: Path) -> Sequence[Path]:
    found = (path for path in target.parent.glob("*.y*ml") if path.resolve() != target.resolve())
    return sorted(path for path in found if path.is_file())


def _write(target: Path, text: str) -> None:
    """In one step, so that no engine reads half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(target)
