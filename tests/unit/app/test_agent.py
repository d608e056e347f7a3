"""An agent in another place: ten minutes cut off cost nothing, the order is kept, and only known ones may write."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.agents import Place, heard, listening, texts, token_for, until
from support.engines import clock_of, engine

from watchkeeper.app.agent import Agent
from watchkeeper.app.agents import agents_of
from watchkeeper.app.paths import DataDir
from watchkeeper.app.pipeline.receive import Received
from watchkeeper.app.schedule import every
from watchkeeper.clock import ManualClock, to_ms
from watchkeeper.config import load
from watchkeeper.errors import ConfigError
from watchkeeper.outbound import Outbound
from watchkeeper.wire import remote_write, snappy

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HEARTBEAT = "watchkeeper_agent_heartbeat_timestamp_seconds"
CUT = timedelta(minutes=10)


class Writer:
    """Somebody on the agent's machine who writes lines, with a secret in each."""

    def __init__(self, log: Path) -> None:
        self._log, self.written = log, 0

    async def write(self, _now: datetime) -> None:
        new = range(self.written, self.written + 7)
        with self._log.open("a") as file:
            file.write("".join(f"order {number} password=hunter{number} accepted\n" for number in new))
        self.written += len(new)


async def work(agent: Agent, clock: ManualClock, span: timedelta, writer: Writer | None = None) -> None:
    """So long, whether or not the engine can be reached."""
    await agent.start()
    if writer is not None:
        agent.scheduler.add("a", every(timedelta(seconds=15), clock.now()), writer.write)
    await agent.scheduler.advance(clock, clock.now() + span)
    await asyncio.to_thread(agent.samples.sync)


async def one_heartbeat(agent: Agent) -> None:
    """As the agent's own scheduler does it, by the agent's clock."""
    await agent.start()
    await agent.scheduler.run_job(agent.scheduler.jobs["collect/agent"], agent.clock.now())
    await asyncio.to_thread(agent.samples.sync)


def test_ten_minutes_cut_off_cost_no_sample_and_no_line_and_keep_the_order(tmp_path: Path) -> None:
    place = Place(tmp_path)
    writer = Writer(place.log)
    with engine(tmp_path, engine=place.engine_section()) as found:
        came: list[int] = []
        take = found.receiving.write

        def noted(packed: bytes, *, second: bool) -> Received:
            came.extend(remote_write.decode(snappy.unpack(packed, 1 << 24), {}).times.tolist())
            return take(packed, second=second)

        found.receiving.write = noted  # type: ignore[method-assign]
        clock = ManualClock(found.clock.now())
        token, began = token_for(found), clock.now()
        first = place.agent(token, clock)
        asyncio.run(work(first, clock, CUT / 2, writer))
        asyncio.run(first.stop())  # a restart while it is cut off
        clock.advance(15)
        agent = place.agent(token, clock)
        asyncio.run(work(agent, clock, CUT / 2 - timedelta(seconds=15), writer))
        until(lambda: agent.forwarders[0].error and agent.line_forwarder.error)
        clock_of(found).advance(CUT)
        assert agent.forwarders[0].lag > 0
        assert agent.line_forwarder.lag > 0
        with listening(found):
            until(lambda: agent.forwarders[0].lag == agent.line_forwarder.lag == 0)
            asyncio.run(agent.stop())
        wanted = [to_ms(began) + 15_000 * step for step in range(41)]
        assert heard(found, HEARTBEAT) == [("shanghai", wanted)]
        assert heard(found, "probe_success") == [("shanghai", wanted)]
        assert came == sorted(came)
        kept = texts(found)
        assert len(kept) >= 40 * 7
        assert kept == [f"order {number} password=[masked:secret] accepted" for number in range(len(kept))]
        assert found.lines.store.stats()["damaged"] == 0


@pytest.mark.parametrize("minutes", [40, -40])
def test_a_wrong_clock_loses_no_sample_and_puts_none_elsewhere(minutes: int, tmp_path: Path) -> None:
    place = Place(tmp_path)
    with engine(tmp_path, engine=place.engine_section()) as found:
        began, token = found.clock.now(), token_for(found)
        clock = ManualClock(began + timedelta(minutes=minutes))
        agent = place.agent(token, clock)
        asyncio.run(work(agent, clock, timedelta(minutes=1)))  # cut off: nobody can say that the clock is wrong
        clock_of(found).advance(60)
        with listening(found):
            until(lambda: agent.clock.ahead is not None and agent.forwarders[0].lag == 0)
            assert abs(agent.clock.ahead or timedelta()) == timedelta(minutes=40)
            asyncio.run(agent.stop())
            clock.advance(60)
            clock_of(found).advance(60)
            agent = place.agent(token, clock)  # asks before it reads anything
            asyncio.run(one_heartbeat(agent))
            until(lambda: heard(found, HEARTBEAT)[0][1][-1] == to_ms(began) + 120_000)
            asyncio.run(agent.stop())
        assert heard(found, HEARTBEAT)[0][1][:5] == [to_ms(began) + 15_000 * step for step in range(5)]
        (row,) = agents_of(found)
        assert (row["clock_ahead_seconds"], row["refused_samples"]) == (minutes * 60, 0)


def test_lines_that_arrived_are_known_when_an_agent_sends_them_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    writer = Writer(place.log)
    second = timedelta(seconds=15)
    with engine(tmp_path, engine=place.engine_section()) as found:
        clock, token = ManualClock(found.clock.now()), token_for(found)
        agent = place.agent(token, clock)
        asyncio.run(work(agent, clock, second, writer))
        asyncio.run(agent.stop())
        kept = shutil.copytree(agent.data.lines, tmp_path / "copy")
        with listening(found):
            agent = place.agent(token, clock)
            asyncio.run(work(agent, clock, second))
            until(lambda: agent.line_forwarder.lag == 0)
            asyncio.run(agent.stop())
            arrived = texts(found)
            assert len(arrived) == writer.written
            shutil.rmtree(agent.data.lines)
            shutil.copytree(kept, agent.data.lines)  # the disk of a moment ago: what has arrived is there again
            agent = place.agent(token, clock)
            asyncio.run(work(agent, clock, second))
            until(lambda: agent.line_forwarder.lag == 0)
            asyncio.run(agent.stop())
        assert texts(found) == arrived


def test_the_engine_assigns_sources_to_an_agent_by_name_and_place(tmp_path: Path) -> None:
    place = Place(tmp_path)
    given = [
        {"kind": "tcp_probe", "name": "mine", "agents": ["shanghai"], "interval": "5s", "address": "127.0.0.1:1"},
        {"kind": "tcp_probe", "name": "yours", "agents": ["beijing"], "address": "127.0.0.1:1"},
        {"kind": "host", "name": "refused", "agents": ["*"]},
    ]
    collect = {"sources": given, "host": False, "own_logs": False}
    with engine(tmp_path, engine=place.engine_section(), collect=collect) as found:
        assert not {"mine", "yours", "refused"} & found.sources.keys()
        clock, token, span = ManualClock(found.clock.now()), token_for(found), timedelta(seconds=20)
        with listening(found):
            agent = place.agent(token, clock)
            asyncio.run(work(agent, clock, span))
            assert agent.sources.keys() == {"shop", "app", "agent", "mine"}
            assert agent.sources["mine"].reached is False
            assert "host is not among the kinds" in agent.assigned.refused["refused"]
            asyncio.run(agent.stop())
            others = "/api/wk/agents/sh-2/sources"
            assert asyncio.run(_asked(place, token, certificate=True, path=others)) == 403
        cut_off = place.agent(token, clock)
        asyncio.run(work(cut_off, clock, span))  # no answer from the engine: what it wanted last goes on
        assert cut_off.sources["mine"].last_at == clock.now()
        asyncio.run(cut_off.stop())


def test_agents_are_listed_with_what_waits(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with engine(tmp_path, engine=place.engine_section()) as found:
        clock, token = ManualClock(found.clock.now()), token_for(found)
        agent = place.agent(token, clock)
        with listening(found):
            asyncio.run(work(agent, clock, timedelta(seconds=15)))
            until(lambda: agent.forwarders[0].lag == 0)
            asyncio.run(agent.stop())
        clock_of(found).advance(15)
        (row,) = agents_of(found)
        assert (row["agent"], row["location"], row["state"]) == ("sh-1", "shanghai", "up")
        assert (row["lag_seconds"], row["sources"], row["waiting_lines"]) == (0.0, 2, 0)
        clock_of(found).advance(600)
        (row,) = agents_of(found)
        assert (row["state"], row["lag_seconds"]) == ("silent", 600.0)


async def _asked(place: Place, token: str, *, certificate: bool, path: str = "/api/v1/write") -> int:
    context = ssl.create_default_context(cafile=place.ca)
    if certificate:
        context.load_cert_chain(place.own, place.own_key)
    outbound = Outbound(allow_private=True, verify=context)
    headers = {"authorization": f"Bearer {token}", "content-type": "application/x-protobuf", "connection": "close"}
    url, method = f"https://localhost:{place.port}{path}", "POST" if path.endswith("write") else "GET"
    try:
        return (await outbound.request(method, url, headers=headers, content=snappy.compress(b""))).status
    finally:
        await outbound.aclose()


def test_a_token_alone_does_not_write_where_certificates_are_asked_for(tmp_path: Path) -> None:
    place = Place(tmp_path)
    with engine(tmp_path, engine=place.engine_section()) as found:
        token = token_for(found)
        with listening(found):
            assert asyncio.run(_asked(place, token, certificate=False)) == 403
            assert asyncio.run(_asked(place, token, certificate=True)) == 204


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({}, "an agent needs a name"),
        ({"agent": {"name": "a"}}, "an agent needs the engine it sends to"),
        (
            {"agent": {"name": "a"}, "remote_write": [{"name": "e", "url": "http://127.0.0.1:1/"}]},
            "the url of the first row must end so",
        ),
        (
            {
                "agent": {"name": "a"},
                "remote_write": [{"name": "e", "url": "http://127.0.0.1:1/api/v1/write"}],
                "collect": {"sources": [{"kind": "host", "name": "agent"}]},
            },
            "this name is the agent's own",
        ),
    ],
)
def test_an_agent_that_cannot_work_says_what_is_missing(tmp_path: Path, sections: dict[str, Any], said: str) -> None:
    (tmp_path / "agent.yaml").write_text(yaml.safe_dump(sections))
    with pytest.raises(ConfigError, match=said):
        Agent(load(tmp_path / "agent.yaml"), DataDir(tmp_path / "data").create(), ManualClock(NOON))
