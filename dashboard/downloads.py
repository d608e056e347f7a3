"""Files a person takes away: reports and evidence, passed through from the engine with the caller's own session."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, Response

from .client import EngineDownError
from .context import current

#: What a report's name may look like; anything else is not asked for.
REPORT = re.compile(r"[A-Za-z0-9_-]{1,100}\.(html|csv)")
#: What the evidence of a plan's run is called.
PACK = re.compile(r"(plan-[0-9]{1,18})\.zip")
#: Where the audit's rows are taken from, with the filters of its page.
AUDIT = "/audit.jsonl"
#: Rows of the audit taken through the dashboard at most: it holds them while it passes them on.
MOST = "20000"
FILTERS = ("actor", "action", "text", "since", "until")
#: Headers of the engine that are passed on.
PASSED = ("content-type", "content-disposition", "content-security-policy")


class Downloads:
    """GET /reports/<id>.html and /reports/<id>.csv, /plan-packs/<run>.zip, and the audit as lines of JSON."""

    def register(self, router: FastAPI) -> None:
        router.add_api_route("/reports/{name}", self.report, methods=["GET"], response_model=None)
        router.add_api_route("/plan-packs/{name}", self.pack, methods=["GET"], response_model=None)
        router.add_api_route(AUDIT, self.audit, methods=["GET"], response_model=None)

    async def audit(self, request: Request) -> Response:
        query = {name: request.query_params[name] for name in FILTERS if name in request.query_params}
        return await self._passed("/api/wk/audit/export", {**query, "limit": MOST})

    async def report(self, name: str) -> Response:
        caller = current()
        if not REPORT.fullmatch(name):
            return PlainTextResponse(caller.words("refused.404") + "\n", 404)
        return await self._passed(f"/api/wk/reports/{name}", {})

    async def pack(self, name: str) -> Response:
        caller, found = current(), PACK.fullmatch(name)
        if found is None:
            return PlainTextResponse(caller.words("refused.404") + "\n", 404)
        return await self._passed(f"/api/wk/plans/runs/{found[1]}/pack", {})

    async def _passed(self, path: str, query: Mapping[str, str]) -> Response:
        caller = current()
        try:
            answer = await caller.engine.raw("GET", path, caller.principal.who, query=query)
        except EngineDownError as error:
            text = caller.words("engine_down.title", since=caller.words.moment(error.since))
            return PlainTextResponse(text + "\n", 503)
        headers = {key: answer.headers[key] for key in PASSED if key in answer.headers}
        return Response(answer.body, answer.status, headers=headers)
