"""Labels and annotations of rules: the part of Go's templates that Prometheus rules use, and nothing without bounds.

``{{ $value | humanize }}``, ``{{ $labels.instance }}``, ``{{ if gt $value 5.0 }}...{{ else }}...{{ end }}``, ``with``,
``range``, ``printf``, the functions of template_functions.py, and ``query`` and its kin of template_queries.py. Loops,
queries and results are bounded; other templates (``template``, ``define``) are refused by name when rules are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from .template_functions import FUNCTIONS, REFUSED, TemplateError, go_text, truth
from .template_queries import OF_RUN, OF_SAMPLES, Ask, Run, items

__all__ = ["Context", "TemplateError", "check_template", "render"]

#: Longer templates and results are a mistake or an attack.
MAX_TEXT = 65_536
MAX_NESTING = 16
#: Longer whole numbers are kept as Go's float64.
MAX_DIGITS = 18

#: Between ``{{`` and ``}}``: the mark that eats the space before, the action, the mark that eats the space after.
OPENS, CLOSES = re.compile(r"\{\{(-\s)?"), re.compile(r"\s-\Z")
TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:\\.|[^"\\])*")|`(?P<raw>[^`]*)`|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"""
    r"""|(?P<path>\$?[A-Za-z_]\w*(?:\.\w+)*|\$?(?:\.\w+)+|\.|\$)|(?P<mark>:=|=|\||\(|\)))"""
)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}
LOOP = re.compile(r"(?:(?P<first>\$\w+)\s*(?:,\s*(?P<second>\$\w+)\s*)?:=\s*)?(?P<over>.*)", re.DOTALL)
PLAIN: dict[str, Callable[..., Any]] = {**FUNCTIONS, **OF_SAMPLES}
#: Where the variables of a rendering keep the rendering itself; no variable can have this name.
RUN = ""
WORD = re.compile(r"(if|else if|else|end|with|range|" + "|".join(REFUSED) + r")\b\s*(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a template may see."""

    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = ""
    ask: Ask | None = None  #: instant queries at the moment of the evaluation
    now_seconds: float = 0.0

    def names(self) -> dict[str, Any]:
        return {
            RUN: Run(self.ask, self.now_seconds, self.external_url),
            "$labels": self.labels,
            "$value": self.value,
            "$externalLabels": self.external_labels,
            "$externalURL": self.external_url,
        }

    def dot(self) -> dict[str, Any]:
        return {
            "Labels": self.labels,
            "Value": self.value,
            "ExternalLabels": self.external_labels,
            "ExternalURL": self.external_url,
        }


@dataclass(frozen=True, slots=True)
class _Path:
    text: str


@dataclass(frozen=True, slots=True)
class _Call:
    words: tuple[Any, ...]  #: constants, paths and pipelines, function name first if there is one


@dataclass(frozen=True, slots=True)
class _Pipe:
    calls: tuple[_Call, ...]
    name: str = ""  #: variable the result is kept in; nothing is printed then


@dataclass(frozen=True, slots=True)
class _Branch:
    condition: _Pipe
    then: tuple[Any, ...]
    otherwise: tuple[Any, ...]
    rebinds: bool  #: ``with``: the dot becomes the value


@dataclass(frozen=True, slots=True)
class _Loop:
    """``range``: the dot becomes each value; ``keys`` and ``values`` are the variables that hold them, if any."""

    over: _Pipe
    keys: str
    values: str
    body: tuple[Any, ...]
    otherwise: tuple[Any, ...]


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[Any, ...]:
    if len(text) > MAX_TEXT:
        raise TemplateError(f"is longer than {MAX_TEXT} characters")
    parts = list(_split(text))
    nodes, stop = _block(parts, 0)
    if stop is not None:
        raise TemplateError(f"{{{{ {stop[0]} }}}} without if or with")
    return nodes


def check_template(text: str) -> None:
    """Raises TemplateError when the text could not be rendered."""
    if "{{" in text:
        _parsed(text)


def render(text: str, context: Context) -> str:
    """The text with every action filled in. Raises TemplateError."""
    if "{{" not in text:
        return text
    parts, size = [], 0
    for part in _emit(_parsed(text), context.names(), context.dot()):
        parts.append(part)
        size += len(part)
        if size > MAX_TEXT:
            raise TemplateError(f"result is longer than {MAX_TEXT} characters")
    return "".join(parts)


# --- reading -------------------------------------------------------------------------------------------------------


def _split(text: str) -> Iterator[tuple[str, str]]:
    """("text", ...) and ("action", ...) in order; ``{{-`` and ``-}}`` eat the space beside them."""
    at, trim = 0, False
    while (found := OPENS.search(text, at)) is not None:
        before = text[at : found.start()]
        before = before.lstrip() if trim else before
        yield "text", before.rstrip() if found.group(1) else before
        end = text.find("}}", found.end())
        if end < 0:
            raise TemplateError("{{ is never closed by }}")
        inside = text[found.end() : end]
        trim = CLOSES.search(inside[-2:]) is not None
        action = (inside[:-2] if trim else inside).strip()
        if not (action.startswith("/*") and action.endswith("*/")):
            yield "action", action
        at = end + 2
    rest = text[at:]
    yield "text", rest.lstrip() if trim else rest


def _block(
    parts: list[tuple[str, str]], depth: int
) -> tuple[tuple[Any, ...], tuple[str, str] | None]:  # the nodes, and the word that ended the block
    if depth > MAX_NESTING:
        raise TemplateError("nests too deep")
    nodes: list[Any] = []
    while parts:
        kind, text = parts.pop(0)
        if kind == "text":
            nodes.append(text)
            continue
        word = WORD.fullmatch(text)
        if word is None:
            nodes.append(_pipeline(text))
        elif word.group(1) in ("if", "with"):
            nodes.append(_branch(word.group(1), word.group(2), parts, depth))
        elif word.group(1) == "range":
            nodes.append(_loop(word.group(2), parts, depth))
        elif word.group(1) in REFUSED:
            raise TemplateError(f"{word.group(1)} is not supported in rules here; move it into the expression")
        else:
            return tuple(nodes), (word.group(1), word.group(2))
    return tuple(nodes), None


def _branch(word: str, condition: str, parts: list[tuple[str, str]], depth: int) -> _Branch:
    pipe = _pipeline(condition)
    then, stop = _block(parts, depth + 1)
    otherwise: tuple[Any, ...] = ()
    if stop is not None and stop[0] == "else if":
        otherwise = (_branch("if", stop[1], parts, depth + 1),)
        return _Branch(pipe, then, otherwise, rebinds=word == "with")
    if stop is not None and stop[0] == "else":
        otherwise, stop = _block(parts, depth + 1)
    if stop is None or stop[0] != "end":
        raise TemplateError(f"{word} is never closed by end")
    return _Branch(pipe, then, otherwise, rebinds=word == "with")


def _loop(text: str, parts: list[tuple[str, str]], depth: int) -> _Loop:
    found = LOOP.fullmatch(text)
    assert found is not None  # the pattern takes any text
    first, second = found["first"] or "", found["second"] or ""
    over = _pipeline(found["over"])
    body, stop = _block(parts, depth + 1)
    otherwise: tuple[Any, ...] = ()
    if stop is not None and stop[0] == "else":
        otherwise, stop = _block(parts, depth + 1)
    if stop is None or stop[0] != "end":
        raise TemplateError("range is never closed by end")
    return _Loop(over, first if second else "", second or first, body, otherwise)


def _pipeline(text: str) -> _Pipe:
    tokens: list[tuple[str, str]] = []
    at = 0
    while at < len(text.rstrip()):
        found = TOKEN.match(text, at)
        if found is None:
            raise TemplateError(f"cannot read {text[at:].strip()!r}")
        kind = found.lastgroup or ""
        tokens.append((kind, found.group(kind)))
        at = found.end()
    name = ""
    if len(tokens) > 1 and tokens[1] in (("mark", ":="), ("mark", "=")):
        name, tokens = tokens[0][1], tokens[2:]
    pipe = _calls(tokens, name)
    if tokens:
        raise TemplateError(f"unexpected {tokens[0][1]!r}")
    return pipe


def _calls(tokens: list[tuple[str, str]], name: str = "", depth: int = 0) -> _Pipe:
    if depth > MAX_NESTING:
        raise TemplateError("nests too deep")
    calls: list[_Call] = []
    words: list[Any] = []
    while tokens and tokens[0] != ("mark", ")"):
        kind, text = tokens.pop(0)
        if (kind, text) == ("mark", "|"):
            calls.append(_call(words, piped=bool(calls)))
            words = []
        elif (kind, text) == ("mark", "("):
            words.append(_calls(tokens, depth=depth + 1))
            if not tokens:
                raise TemplateError("( is never closed")
            tokens.pop(0)
        else:
            words.append(_constant(kind, text))
    calls.append(_call(words, piped=bool(calls)))
    return _Pipe(tuple(calls), name)


def _constant(kind: str, text: str) -> Any:
    if kind == "string":
        return re.sub(r"\\(.)", lambda found: ESCAPES.get(found.group(1), found.group(0)), text[1:-1])
    if kind == "number":
        return float(text) if re.search(r"[.eE]", text) or len(text) > MAX_DIGITS else int(text)
    if kind == "mark":
        raise TemplateError(f"unexpected {text!r}")
    return text if kind == "raw" else _Path(text)


def _call(words: list[Any], *, piped: bool) -> _Call:
    if not words:
        raise TemplateError("an action is empty")
    first = words[0]
    is_name = isinstance(first, _Path) and first.text[0] not in ".$" and first.text not in ("true", "false", "nil")
    if is_name:
        if first.text in REFUSED:
            raise TemplateError(f"{first.text} is not supported in rules here; move it into the expression")
        if first.text not in PLAIN and first.text not in OF_RUN:
            known = ", ".join(sorted([*PLAIN, *OF_RUN]))
            raise TemplateError(f"function {first.text!r} is not known; known are {known}")
    elif len(words) > 1 or piped:
        raise TemplateError("only a function takes arguments")
    return _Call(tuple(words))


# --- filling in ----------------------------------------------------------------------------------------------------


def _emit(nodes: tuple[Any, ...], names: dict[str, Any], dot: Any) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, str):
            yield node
        elif isinstance(node, _Branch):
            value = _evaluate(node.condition, names, dot)
            inner = value if node.rebinds and truth(value) else dot
            yield from _emit(node.then if truth(value) else node.otherwise, dict(names), inner)
        elif isinstance(node, _Loop):
            yield from _rounds(node, names, dot)
        else:
            value = _evaluate(node, names, dot)
            if not node.name:
                yield go_text(value)


def _rounds(loop: _Loop, names: dict[str, Any], dot: Any) -> Iterator[str]:
    found = items(_evaluate(loop.over, names, dot))
    if not found:
        yield from _emit(loop.otherwise, dict(names), dot)
    for key, value in found:
        names[RUN].round()
        inner = {**names, **({loop.keys: key} if loop.keys else {}), **({loop.values: value} if loop.values else {})}
        yield from _emit(loop.body, inner, value)


def _evaluate(pipe: _Pipe, names: dict[str, Any], dot: Any) -> Any:
    value: Any = None
    for index, call in enumerate(pipe.calls):
        extra = [value] if index else []
        first = call.words[0]
        if isinstance(first, _Path) and (first.text in PLAIN or first.text in OF_RUN):
            arguments = [_word(word, names, dot) for word in call.words[1:]] + extra
            try:
                value = _called(first.text, names, arguments)
            except (TypeError, ValueError, IndexError, KeyError, AttributeError, OverflowError) as error:
                raise TemplateError(f"{first.text}: {error}") from None
        else:
            value = _word(first, names, dot)
        if isinstance(value, str) and len(value) > MAX_TEXT:  # else a few steps double it beyond all memory
            raise TemplateError(f"a value is longer than {MAX_TEXT} characters")
    if pipe.name:
        names[pipe.name] = value
    return value


def _called(name: str, names: dict[str, Any], arguments: list[Any]) -> Any:
    return OF_RUN[name](names[RUN], *arguments) if name in OF_RUN else PLAIN[name](*arguments)


def _word(word: Any, names: dict[str, Any], dot: Any) -> Any:
    if isinstance(word, _Pipe):
        return _evaluate(word, names, dot)
    if not isinstance(word, _Path):
        return word
    if word.text in ("true", "false"):
        return word.text == "true"
    head, *steps = word.text.split(".")
    if head and head != "$" and head not in names:
        raise TemplateError(f"variable {head} is not defined")
    value = names[head] if head and head != "$" else dot
    for step in steps:
        if step:
            value = value.get(step, "") if isinstance(value, Mapping) else ""
    return value
