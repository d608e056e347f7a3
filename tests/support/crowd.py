"""A thousand readers at once: sessions that open pages, leave them open as browsers do, and ask the API.

One process, one connection a reader, HTTP/1.1 as browsers keep it. Scripts and styles are not asked for: a browser has
them from its cache.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

#: Page -> address, and how likely a reader goes there.
PAGES = {"overview": ("/", 6), "incidents": ("/incidents", 3), "rules": ("/rules", 1), "collectors": ("/collectors", 1),
         "capacity": ("/capacity", 1), "explore": ("/explore", 1)}  # fmt: skip
#: What the address bar or a field of the page holds.
VALUES = {"explore-expr": "cpu_usage", "explore-range": "1h", "incidents-state": "open"}
#: Seconds between two ticks of an open page, and the mean time a reader stays on one.
REFRESH, STAY = 5.0, 60.0
#: One of so many is a program that asks the API every REFRESH seconds.
PROGRAMS = 10
QUESTIONS = ("/api/wk/overview", "/api/v1/query?query=cpu_usage", "/api/wk/incidents?state=open")


@dataclass
class Seen:
    """Seconds of every good answer by kind, and what went wrong."""

    taken: dict[str, list[float]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        every = sorted(one for row in self.taken.values() for one in row)
        return every[min(int(len(every) * share), len(every) - 1)]

    @property
    def answers(self) -> int:
        return sum(len(row) for row in self.taken.values())


class Reader:
    """One signed-in person or program."""

    def __init__(self, dashboard: str, engine: str, session: str, seen: Seen, chance: random.Random) -> None:
        self.dashboard, self.engine, self.session = dashboard, engine, session
        self.seen, self.chance = seen, chance
        self._open: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def read(self, callbacks: Sequence[Mapping[str, Any]], until: float) -> None:
        """Go from page to page; each shows what it has and refreshes until left."""
        keys, chances = list(PAGES), [weight for _, weight in PAGES.values()]
        while time.monotonic() < until:
            key = self.chance.choices(keys, chances)[0]
            path = PAGES[key][0]
            await self.page("document", "GET", path, path)
            leave, ticks = time.monotonic() + self.chance.expovariate(1 / STAY), 0
            while ticks == 0 or time.monotonic() < min(leave, until):
                body = refreshing(key, callbacks, ticks)
                began = time.monotonic()
                await self.page("callback", "POST", "/_dash-update-component", path, body)
                ticks += 1
                await asyncio.sleep(max(0.0, REFRESH - (time.monotonic() - began)))

    async def program(self, until: float) -> None:
        """Ask the API in turn."""
        headers = {"Authorization": f"Session {self.session}"}
        while time.monotonic() < until:
            began = time.monotonic()
            await self.exchange("api", self.engine, "GET", self.chance.choice(QUESTIONS), headers)
            await asyncio.sleep(max(0.0, REFRESH - (time.monotonic() - began)))

    async def page(self, kind: str, method: str, path: str, page: str, body: bytes = b"") -> None:
        origin = f"http://{self.dashboard}"
        headers = {"Cookie": f"wk={quote(self.session)}", "Origin": origin, "Referer": origin + page}
        if body:
            headers["Content-Type"] = "application/json"
        await self.exchange(kind, self.dashboard, method, path, headers, body)

    async def exchange(
        self, kind: str, host: str, method: str, path: str, headers: Mapping[str, str], body: bytes = b""
    ) -> None:
        """One request; only 200 (and 204, nothing has changed) is a good answer."""
        began = time.perf_counter()
        try:
            status, content = await asyncio.wait_for(self._send(host, method, path, headers, body), 30)
        except (OSError, EOFError, TimeoutError) as error:
            await self.leave(host)
            self.seen.errors.append(f"{kind} {path}: {type(error).__name__} {error}")
            return
        if status not in (200, 204):
            self.seen.errors.append(f"{kind} {path}: {status} {content[:200]!r}")
        elif b"wk-engine-down" in content:
            self.seen.errors.append(f"{kind} {path}: shows that the engine is down")
        else:
            self.seen.taken.setdefault(kind, []).append(time.perf_counter() - began)

    async def _send(
        self, host: str, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        if host not in self._open:
            name, _, port = host.partition(":")
            self._open[host] = await asyncio.open_connection(name, int(port), limit=1 << 20)
        reader, writer = self._open[host]
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(" ", 2)[1])
        return status, await _content(reader, head)

    async def leave(self, host: str) -> None:
        found = self._open.pop(host, None)
        if found:
            found[1].close()

    async def close(self) -> None:
        for host in list(self._open):
            await self.leave(host)


async def _content(reader: asyncio.StreamReader, head: str) -> bytes:
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    content = b""
    while fields.get("transfer-encoding") == "chunked":
        size = int((await reader.readline()).strip() or b"0", 16)
        content += (await reader.readexactly(size + 2))[:-2]
        if size == 0:
            break
    return content


def refreshing(key: str, callbacks: Sequence[Mapping[str, Any]], ticks: int) -> bytes:
    """What the browser sends when the page's clock ticks, made from Dash's own list of callbacks."""
    tick = f"{key}-tick"
    one = next(row for row in callbacks if any(part["id"] == tick for part in row["inputs"]))
    names = [name for name in one["output"].strip(".").split("...") if name]
    outputs = [dict(zip(("id", "property"), name.rsplit(".", 1), strict=True)) for name in names]
    wired = {
        place: [{**part, "value": ticks if part["id"] == tick else VALUES.get(part["id"])} for part in one[place]]
        for place in ("inputs", "state")
    }
    changed = [f"{tick}.n_intervals"] if ticks else []
    body = {"output": one["output"], "outputs": outputs if len(outputs) > 1 else outputs[0], **wired}
    return json.dumps({**body, "changedPropIds": changed, "parsedChangedPropsIds": changed}).encode()


async def crowd(
    dashboard: str,
    engine: str,
    sessions: Sequence[str],
    callbacks: Sequence[Mapping[str, Any]],
    seconds: float,
    seed: int,
    *,
    ramp: float = 20.0,
) -> Seen:
    """All of them, arriving over ``ramp`` seconds and staying until ``seconds`` after that."""
    seen, chance = Seen(), random.Random(seed)
    until = time.monotonic() + ramp + seconds

    async def one(number: int, session: str) -> None:
        await asyncio.sleep(chance.uniform(0, ramp))
        reader = Reader(dashboard, engine, session, seen, random.Random(seed + number))
        try:
            await (reader.program(until) if number % PROGRAMS == 0 else reader.read(callbacks, until))
        finally:
            await reader.close()

    await asyncio.gather(*[one(number, session) for number, session in enumerate(sessions)])
    return seen
