"""The steps of an HTTP chain: what is asked, what makes the answer good, and what is carried to later steps."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field
from pydantic.dataclasses import dataclass

from watchkeeper.errors import CollectError
from watchkeeper.fresh import Ask, asking

from .answers import Expected, check_pattern
from .base import STRICT

#: A carried value where it is used: in the path of a URL, a header or a body.
USED = re.compile(r"\{\{([a-zA-Z_][a-zA-Z0-9_]*)\}\}")


@dataclass(kw_only=True, config=STRICT)
class Step:
    """One request of a chain, and what makes it good."""

    name: str
    url: str  #: {{name}} in its path or query, in headers and in the body stands for a carried value
    method: Literal["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] = "GET"
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    body: str = Field(default="", repr=False)
    expect_status: list[int] = field(default_factory=lambda: [200])  #: any of these is good
    expect_body: str = ""  #: RE2 pattern that must be found in the body; empty accepts any
    expect_json: dict[str, Expected] = field(default_factory=dict)  #: path (data.items.0.state) -> value it must have
    carry: dict[str, str] = field(default_factory=dict)  #: name -> path in the JSON answer, for later steps
    max_seconds: float | None = Field(default=None, gt=0)  #: slower than this is a failure

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be http://host/path or https://...")
        if USED.search(parts.netloc):
            raise ValueError("url: a carried value cannot choose the host")
        check_pattern(self.expect_body, "expect_body")
        #: Names of the carried values it needs.
        self.uses = {name for text in (self.url, self.body, *self.headers.values()) for name in USED.findall(text)}
        self._ask: Ask | None = None

    def ask(self, carried: Mapping[str, str]) -> Ask:
        """The request: values quoted in the URL, without line ends in headers. Raises OutboundError."""
        if self._ask is not None:
            return self._ask
        if self.uses:
            return self._with(carried)
        self._ask = asking(self.method, self.url, self.headers, self.body.encode())
        return self._ask

    def _with(self, carried: Mapping[str, str]) -> Ask:
        headers = {
            key: _filled(text, {name: " ".join(value.split()) for name, value in carried.items()})
            for key, text in self.headers.items()
        }
        body = _filled(self.body, _in_json(carried) if self.body.lstrip()[:1] in ("{", "[") else carried)
        url = _filled(self.url, {name: quote(value, safe="") for name, value in carried.items()})
        return asking(self.method, url, headers, body.encode())


def check_order(steps: Sequence[Step]) -> None:
    """Raises ValueError for a value that no earlier step carries."""
    known: set[str] = set()
    for step in steps:
        missing = sorted(step.uses - known)
        if missing:
            raise ValueError(f"step {step.name!r} uses {{{{{missing[0]}}}}}, which no earlier step carries")
        known |= set(step.carry)


def plain(value: Any) -> str:
    """A carried value as text. Raises CollectError for lists and objects."""
    if isinstance(value, list | dict) or value is None:
        raise CollectError("there is no single value to carry", reason="path")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _in_json(carried: Mapping[str, str]) -> dict[str, str]:
    """Values as they stand between the quotes of a JSON text."""
    return {name: json.dumps(value)[1:-1] for name, value in carried.items()}


def _filled(text: str, carried: Mapping[str, str]) -> str:
    return USED.sub(lambda match: carried[match[1]], text)
