"""The functions of rule templates, with the output of Prometheus's own (template/template.go)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from watchkeeper.config.types import parse_duration
from watchkeeper.errors import WatchkeeperError

#: Words that would load another template or jump out of a loop.
REFUSED = ("template", "define", "block", "break", "continue", "tmpl")
VERB = re.compile(r"%([-+# 0]*+)(\d*+)(?:\.(\d*+))?([a-zA-Z%])")
MAX_WIDTH = 200
#: Longest result of printf and of reReplaceAll.
MAX_MADE = 1 << 20


class TemplateError(WatchkeeperError):
    """A template cannot be read or filled in."""


def truth(value: Any) -> bool:
    """As Go's templates see it: empty, zero and missing are false."""
    return bool(value) if not isinstance(value, float) else value != 0


def go_text(value: Any) -> str:
    """A value as Go prints it with %v."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float_text(value)
    if isinstance(value, Mapping):
        return "map[" + " ".join(f"{key}:{go_text(value[key])}" for key in sorted(value)) + "]"
    return "" if value is None else str(value)


def _float_text(value: float) -> str:
    if math.isnan(value) or math.isinf(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    mantissa, _, power = f"{value!r}".partition("e")
    digits = math.floor(math.log10(abs(value))) if value else 0
    if digits < -4 or digits >= 21:
        if not power:  # Python writes 0.0001 plainly, Go from 1e-05 on with an exponent
            return f"{value:e}"
        return f"{mantissa.removesuffix('.0')}e{int(power):+03d}"
    if power:
        return f"{value:.0f}"
    return mantissa.removesuffix(".0")


def number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"can't convert {go_text(value)!r} to a number")
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"can't convert {value!r} to a number") from None


def _four(value: float) -> str:
    return "NaN" if math.isnan(value) else f"{value:+.4g}".title() if math.isinf(value) else f"{value:.4g}"


def _scale(value: float, prefixes: tuple[str, ...], base: float) -> str:
    chosen = ""
    for prefix in prefixes:
        if abs(value) < base:
            break
        value, chosen = value / base, prefix
    return f"{_four(value)}{chosen}"


def _small(value: float) -> tuple[float, str]:
    """A value below 1 in the largest unit that makes it at least 1."""
    for prefix in "munpfaz":
        value *= 1000
        if abs(value) >= 1:
            return value, prefix
    return value * 1000, "y"


def humanize(raw: Any) -> str:
    """1234567 is 1.235M, 0.0012 is 1.2m."""
    value = number(raw)
    if value == 0 or not math.isfinite(value):
        return _four(value)
    if abs(value) >= 1:
        return _scale(value, ("k", "M", "G", "T", "P", "E", "Z", "Y"), 1000)
    value, prefix = _small(value)
    return f"{_four(value)}{prefix}"


def humanize_1024(raw: Any) -> str:
    value = number(raw)
    if abs(value) <= 1 or not math.isfinite(value):
        return _four(value)
    return _scale(value, ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"), 1024)


def humanize_duration(raw: Any) -> str:
    """Seconds as 1d 1h 1m 1s; below one second with a prefix."""
    value = number(raw)
    if not math.isfinite(value):
        return _four(value)
    if value == 0:
        return "0s"
    if abs(value) < 1:
        value, prefix = _small(value)
        return f"{_four(value)}{prefix}s"
    sign, whole = ("-" if value < 0 else ""), int(abs(value))
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    return f"{sign}{minutes}m {seconds}s" if minutes else f"{sign}{_four(abs(value))}s"


def humanize_percentage(raw: Any) -> str:
    return f"{_four(number(raw) * 100)}%"


def humanize_timestamp(raw: Any) -> str:
    value = number(raw)
    if not math.isfinite(value):
        return _four(value)
    return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def printf(pattern: Any, *values: Any) -> str:
    """Go's printf with the verbs s v q d f e g x t and %%."""
    left = list(values)
    if len(str(pattern)) + sum(len(go_text(value)) for value in left) * 2 > MAX_MADE:
        raise ValueError(f"the result could be longer than {MAX_MADE} characters")

    def fill(found: re.Match[str]) -> str:
        flags, width, precision, verb = found.groups()
        if verb == "%":
            return "%"
        if not left:
            return f"%!{verb}(MISSING)"
        if max(int(width or 0), int(precision or 0)) > MAX_WIDTH:
            raise ValueError(f"{found.group(0)} is wider than {MAX_WIDTH}")
        return _verb(flags + width, precision, verb, left.pop(0))

    text = VERB.sub(fill, str(pattern))
    extra = ", ".join(f"{type(value).__name__}={go_text(value)}" for value in left)
    return f"{text}%!(EXTRA {extra})" if left else text


def _verb(lead: str, precision: str | None, verb: str, value: Any) -> str:
    point = "" if precision is None else f".{precision or 0}"
    if verb in "feEgG":
        return f"%{lead}{point}{verb}" % number(value)
    if verb in "dx":
        if number(value) != int(number(value)):
            return f"%!{verb}({type(value).__name__}64={go_text(value)})"
        return f"%{lead}{verb}" % int(number(value))
    if verb in "svqt":
        text = go_text(value) if not isinstance(value, float) or not point else f"%{point}g" % value
        return f"%{lead}s" % ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if verb == "q" else text)
    return f"%!{verb}({go_text(value)})"


def re_replace_all(pattern: Any, replacement: Any, text: Any) -> str:
    """RE2, groups as $1 or ${1}."""
    import pyarrow as pa
    import pyarrow.compute as pc

    with_groups, groups = re.subn(r"\$\{?(\d)\}?", r"\\\1", str(replacement).replace("\\", "\\\\"))
    texts = pa.array([str(text)], pa.string())
    try:
        hits = pc.count_substring_regex(texts, str(pattern)).to_pylist()[0]
        if hits * len(with_groups) + groups * len(str(text)) > MAX_MADE:
            raise ValueError(f"the result could be longer than {MAX_MADE} characters")
        found = pc.replace_substring_regex(texts, str(pattern), with_groups)
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)) from None
    return str(found.to_pylist()[0])


def match(pattern: Any, text: Any) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return bool(pc.match_substring_regex(pa.array([str(text)], pa.string()), str(pattern)).to_pylist()[0])
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)) from None


def _strip_port(text: Any) -> str:
    host, colon, port = str(text).rpartition(":")
    return host.strip("[]") if colon and port.isdigit() and (":" not in host or host.endswith("]")) else str(text)


def _strip_domain(text: Any) -> str:
    host, colon, port = str(text).partition(":")
    if re.fullmatch(r"[\d.]+", host):
        return str(text)
    return host.partition(".")[0] + colon + port


def _index(thing: Any, *keys: Any) -> Any:
    for key in keys:
        thing = thing.get(key, "") if isinstance(thing, Mapping) else thing[int(key)]
    return thing


def _and(*values: Any) -> Any:
    return next((value for value in values if not truth(value)), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if truth(value)), values[-1])


def _len(thing: Any) -> int:
    return len(thing)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "humanize": humanize,
    "humanize1024": humanize_1024,
    "humanizeDuration": humanize_duration,
    "humanizePercentage": humanize_percentage,
    "humanizeTimestamp": humanize_timestamp,
    "printf": printf,
    "print": lambda *values: "".join(go_text(value) for value in values),
    "title": lambda text: str(text).title(),
    "toUpper": lambda text: str(text).upper(),
    "toLower": lambda text: str(text).lower(),
    "reReplaceAll": re_replace_all,
    "match": match,
    "stripPort": _strip_port,
    "stripDomain": _strip_domain,
    "urlquery": lambda text: quote_plus(str(text)),
    "parseDuration": lambda text: parse_duration(str(text)).total_seconds(),
    "index": _index,
    "len": _len,
    "eq": lambda first, *others: first in others,
    "ne": lambda left, right: left != right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "and": _and,
    "or": _or,
    "not": lambda value: not truth(value),
}
