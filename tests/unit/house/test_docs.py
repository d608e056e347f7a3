"""Examples in the docs are true: configuration loads, rules load and their queries parse, links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rules.load import load_text
from watchkeeper.config import check
from watchkeeper.config.yaml import parse

ROOT = Path(__file__).parents[3]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://|#|mailto:)([^)#\s]+)")


class Anything(dict[str, str]):
    """Every variable is set."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return f"set-{key}"


def blocks() -> Iterator[tuple[str, str]]:
    for path in DOCS:
        for number, match in enumerate(BLOCK.finditer(path.read_text(encoding="utf-8")), 1):
            yield f"{path.relative_to(ROOT)} block {number}", match.group(1)


@pytest.mark.parametrize(("name", "text"), [pytest.param(*one, id=one[0]) for one in blocks()])
def test_an_example_loads(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("what only the file knows", encoding="utf-8")
    text = re.sub(r"(?<!bearer_token)(_file): [^,}\s]+", rf"\1: {tmp_path / 'secret'}", text)
    keys = set(re.findall(r"^([a-z_]+):", text, re.MULTILINE))
    if keys & {"groups", "remediations", "ladders"}:
        book = load_text(text, name)
        assert book.groups or book.remedies
    else:
        check(parse(text.encode(), name, environment=Anything()), ROOT)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def commands(text: str) -> list[list[str]]:
    """Every block of code without its remarks, which each language has in its own words."""
    found = []
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        lines = [re.sub(r"\s*#.*", "", line).rstrip() for line in block.splitlines()]
        found.append([line for line in lines if line])
    return found


def test_both_readmes_say_the_same() -> None:
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md"))
    assert english.count("\n## ") == chinese.count("\n## ")
    assert commands(english) == commands(chinese)
    assert len(commands(english)) >= 5
    links, own = [{link for link in LINK.findall(text) if link.endswith(".md")} for text in (english, chinese)]
    assert links - {"README.zh-CN.md"} == own - {"README.md"}
    assert re.findall(r"`watchkeeper [a-z]+", english) == re.findall(r"`watchkeeper [a-z]+", chinese)


def test_the_first_two_commands_are_the_promised_ones() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "make up" in text
        assert "make test" in text
        assert "sudo apt-get install -y make python3 python3-venv" in text
