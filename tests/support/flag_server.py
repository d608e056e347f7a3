"""A flag service over real HTTP: one document, an ETag for each version, PUT only with the right If-Match."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.answering import Answering, answering
from support.driven import Driven, silence


class Flags:
    def __init__(self) -> None:
        self.document: dict[str, Any] = {"mode": "full", "banner": "hello"}
        self.version, self.writes, self.url = 1, 0, ""
        self.before_put: Callable[[], None] = lambda: None

    @property
    def tag(self) -> str:
        return f'"{self.version}"'

    def write(self, document: dict[str, Any]) -> None:
        self.document, self.version = document, self.version + 1

    @property
    def target(self) -> dict[str, Any]:
        switches = {"mode": ["full", "cached", "template"]}
        return {"name": "planner", "kind": "feature_flag", "url": self.url, "switches": switches}


@contextmanager
def flags() -> Iterator[Flags]:
    made = Flags()

    class Handler(Answering):
        def answer(self) -> None:
            if self.command == "GET":
                return self._document(200)
            body = json.loads(self.body())
            made.before_put()
            if self.headers.get("If-Match") != made.tag:
                return self._document(412)
            made.writes += 1
            made.write(body)
            return self._document(200)

        def _document(self, status: int) -> None:
            self.say(status, json.dumps(made.document).encode(), ETag=made.tag)

    with answering(Handler) as url:
        made.url = f"{url}/flags"
        yield made


@contextmanager
def driven(folder: Path) -> Iterator[Driven]:
    del folder
    with flags() as made, silence() as port:
        yield Driven(
            settings=made.target,
            parameters={"state": {"mode": "cached"}},
            effects=lambda: made.writes,
            hang={"url": f"http://127.0.0.1:{port}/", "timeout_seconds": 0.1},
        )
