"""A Redis primary with replicas under a Sentinel that would not act by itself within a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.driven import Driven, silence
from support.haproxy import wait_until
from support.servers import Running, redis, redis_cli, redis_sentinel

from remediation.actions.redis_sentinel import RedisSentinel
from watchkeeper.model import Target


@dataclass
class Group:
    nodes: list[Running]
    sentinel: Running

    @property
    def target(self) -> dict[str, Any]:
        sentinels = [f"127.0.0.1:{self.sentinel.port}"]
        return {"name": "cache", "kind": "redis_sentinel", "sentinels": sentinels, "master": "shop"}

    def address(self, number: int) -> str:
        return f"127.0.0.1:{self.nodes[number].port}"

    def fit(self) -> list[str]:
        found: Any = RedisSentinel().read(Target(kind="redis_sentinel", name="cache"), self.target).state["fit"]
        return list(found)

    def switches(self) -> int:
        """How often Sentinel moved the primary: its own epoch."""
        lines = redis_cli(self.sentinel.port, "sentinel", "master", "shop").splitlines()
        return int(lines[lines.index("config-epoch") + 1])


@contextmanager
def group(tmp: Path, replicas: int = 1) -> Iterator[Group]:
    with ExitStack() as stack:
        (tmp / "node0").mkdir()
        nodes = [stack.enter_context(redis(tmp / "node0", "--repl-diskless-sync-delay", "0"))]
        for number in range(1, replicas + 1):
            (tmp / f"node{number}").mkdir()
            follow = ("--replicaof", f"127.0.0.1 {nodes[0].port}")
            nodes.append(stack.enter_context(redis(tmp / f"node{number}", *follow)))
        for node in nodes[1:]:
            wait_until(lambda port=node.port: "master_link_status:up" in redis_cli(port, "info", "replication"))
        patient = "sentinel down-after-milliseconds shop 600000"
        made = Group(nodes, stack.enter_context(redis_sentinel(tmp, nodes[0], patient)))
        wait_until(lambda: len(made.fit()) == replicas)
        yield made


@contextmanager
def driven(tmp: Path) -> Iterator[Driven]:
    with group(tmp) as made, silence() as port:
        yield Driven(
            settings=made.target,
            parameters={"primary": made.address(1)},
            effects=made.switches,
            hang={"sentinels": [f"127.0.0.1:{port}"], "timeout_seconds": 0.1},
            settle=lambda: wait_until(lambda: len(made.fit()) == 1),
        )
