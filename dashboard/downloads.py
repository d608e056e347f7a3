"""Files a person takes away: reports, passed through from the engine with the caller's own session."""

from __future__ import annotations

import re

from fastapi import FastAPI
from starlette.responses import PlainTextResponse, Response

from .client import EngineDownError
from .context import current

#: What a report's name may look like; anything else is not asked for.
REPORT = re.compile(r"[A-Za-z0-9_-]{1,100}\.(html|csv)")
#: Headers of the engine that are passed on.
PASSED = ("content-type", "content-disposition", "content-security-policy")


class Downloads:
    """GET /reports/<id>.html and /reports/<id>.csv."""

    def register(self, router: FastAPI) -> None:
        router.add_api_route("/reports/{name}", self.report, methods=["GET"], response_model=None)

    async def report(self, name: str) -> Response:
        caller = current()
        if not REPORT.fullmatch(name):
            return PlainTextResponse(caller.words("refused.404") + "\n", 404)
        try:
            answer = await caller.engine.raw("GET", f"/api/wk/reports/{name}", caller.principal.who)
        except EngineDownError as error:
            text = caller.words("engine_down.title", since=caller.words.moment(error.since))
            return PlainTextResponse(text + "\n", 503)
        headers = {key: answer.headers[key] for key in PASSED if key in answer.headers}
        return Response(answer.body, answer.status, headers=headers)
