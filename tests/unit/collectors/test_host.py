from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.targets import TRUST

from collectors import host_mounts
from collectors.base import Reading
from collectors.host import Host
from collectors.host_files import PARTS, USER_HZ
from collectors.host_processes import PAGE, Processes
from watchkeeper.errors import CollectError
from watchkeeper.model import Tick, is_stale, label, metric_name
from watchkeeper.outbound import Outbound

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

FILES = {
    "stat": "cpu  1 2 3 4\ncpu0 100 200 300 400 500 600 700 800 900 1000\nintr 55 1 2\nctxt 77\nbtime 1700000000\n"
    "processes 9\nprocs_running 2\nprocs_blocked 1\nsoftirq 1 2\n",
    "meminfo": "MemTotal:       1000 kB\nActive(anon):     10 kB\nHugePages_Total:   3\nBroken:\n",
    "loadavg": "0.10 0.20 0.30 1/100 5\n",
    "diskstats": "   8 0 sda 1 2 3 4000 5 6 7 8000 9 10 11\n"
    "   8 1 sda1 1 2 3 4 5 6 7 8 9 10 11\n   7 0 loop0 1 1 1 1\n",
    "net/dev": "Inter-| Receive\n face |bytes\n  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n",
    "net/snmp": "Tcp: RtoMin CurrEstab\nTcp: 200 5\n",
    "net/netstat": "TcpExt: ListenDrops Other\nTcpExt: 4 1\n",
    "net/sockstat": "sockets: used 10\nTCP: inuse 3 mem 1\n",
    "pressure/cpu": "some avg10=0.00 total=2000000\nfull avg10=0.00 total=0\n",
    "pressure/io": "some avg10=0.00 total=3000000\nfull avg10=0.00 total=1000000\n",
    "pressure/memory": "some avg10=0.00 total=0\nfull avg10=0.00 total=0\n",
    "vmstat": "pgfault 12\nnr_free_pages 1\n",
    "sys/fs/file-nr": "100\t0\t2000\n",
    "sys/kernel/random/entropy_avail": "256\n",
    "sys/kernel/random/poolsize": "256\n",
    "sys/kernel/domainname": "(none)\n",
    "sys/kernel/hostname": "shop-1\n",
    "sys/kernel/osrelease": "6.1\n",
    "sys/kernel/ostype": "Linux\n",
    "sys/kernel/version": "#1\n",
    "1/mounts": "/dev/sda / ext4 rw 0 0\nnas:/x /mnt/nas nfs4 rw 0 0\nproc /proc proc rw 0 0\n"
    "/dev/sdb /mnt/my\\040disk xfs ro,relatime 0 0\ntmpfs /run tmpfs rw 0 0\noverlay /var/x overlay rw 0 0\n",
}


def machine(root: Path) -> Path:
    """A made-up machine: the files of /proc that are read, and the mount points."""
    for name, content in FILES.items():
        (root / "proc" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "proc" / name).write_text(content)
    for point in ("mnt/my disk", "run"):
        (root / point).mkdir(parents=True, exist_ok=True)
    return root / "proc"


def process(proc: Path, pid: int, name: str, *, seconds: float, pages: int, start: int = 1) -> None:
    ticks = round(seconds * USER_HZ)
    (proc / str(pid)).mkdir(exist_ok=True)
    rest = f"S 1 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 {start} 9999 {pages} 0"
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {rest}\n")


def values(tick: Tick) -> dict[tuple[str, ...], float]:
    own = [(metric_name(s), *(v for k, v in s if k not in ("__name__", "job", "instance"))) for s in tick.layout.series]
    return dict(zip(own, tick.values.tolist(), strict=True))


@pytest.fixture
async def outbound() -> AsyncIterator[Outbound]:
    client = Outbound(allow_private=True, verify=TRUST)
    yield client
    await client.aclose()


async def test_a_known_machine_gives_known_readings(tmp_path: Path, outbound: Outbound) -> None:
    part = Host(name="node", proc=str(machine(tmp_path)), rootfs=str(tmp_path))
    tick = (await part.collect(NOON, outbound)).ticks[0]
    found = values(tick)
    expected = {
        ("node_cpu_seconds_total", "0", "user"): 100 / USER_HZ,
        ("node_cpu_seconds_total", "0", "steal"): 800 / USER_HZ,
        ("node_cpu_guest_seconds_total", "0", "nice"): 1000 / USER_HZ,
        ("node_context_switches_total",): 77.0,
        ("node_intr_total",): 55.0,
        ("node_boot_time_seconds",): 1.7e9,
        ("node_procs_blocked",): 1.0,
        ("node_memory_MemTotal_bytes",): 1024000.0,
        ("node_memory_Active_anon_bytes",): 10240.0,
        ("node_memory_HugePages_Total",): 3.0,
        ("node_load15",): 0.3,
        ("node_disk_read_bytes_total", "sda"): 3 * 512.0,
        ("node_disk_read_time_seconds_total", "sda"): 4.0,
        ("node_disk_written_bytes_total", "sda"): 7 * 512.0,
        ("node_network_receive_multicast_total", "eth0"): 8.0,
        ("node_network_transmit_bytes_total", "eth0"): 9.0,
        ("node_netstat_Tcp_CurrEstab",): 5.0,
        ("node_netstat_TcpExt_ListenDrops",): 4.0,
        ("node_sockstat_TCP_inuse",): 3.0,
        ("node_pressure_cpu_waiting_seconds_total",): 2.0,
        ("node_pressure_io_stalled_seconds_total",): 1.0,
        ("node_vmstat_pgfault",): 12.0,
        ("node_filefd_maximum",): 2000.0,
        ("node_time_seconds",): NOON.timestamp(),
        ("node_scrape_collector_success", "cpu"): 1.0,
        ("node_scrape_collector_success", "conntrack"): 0.0,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert {label(s, "instance") for s in tick.layout.series} == {os.uname().nodename}
    absent = {"node_disk_io_now sda1", "node_netstat_TcpExt_Other", "node_netstat_Tcp_RtoMin", "node_memory_Broken"}
    assert not absent & {" ".join(key) for key in found}
    assert not any("cpu_stalled" in key[0] for key in found)


async def test_file_systems_that_hold_data_are_measured_and_missing_ones_marked(
    tmp_path: Path, outbound: Outbound
) -> None:
    proc = machine(tmp_path)
    part = Host(name="node", proc=str(proc), rootfs=str(tmp_path), remote_filesystems=True)
    found = values((await part.collect(NOON, outbound)).ticks[0])
    errors = {key[-1]: value for key, value in found.items() if key[0] == "node_filesystem_device_error"}
    assert errors == {"/": 0.0, "/mnt/my disk": 0.0, "/run": 0.0, "/mnt/nas": 1.0}
    size = os.statvfs(tmp_path)
    assert found["node_filesystem_size_bytes", "/dev/sda", "ext4", "/"] == size.f_blocks * size.f_frsize
    assert found["node_filesystem_readonly", "/dev/sdb", "xfs", "/mnt/my disk"] == 1.0
    assert ("node_filesystem_size_bytes", "nas:/x", "nfs4", "/mnt/nas") not in found
    local = values((await Host(proc=str(proc), rootfs=str(tmp_path)).collect(NOON, outbound)).ticks[0])
    assert not any("/mnt/nas" in key for key in local)


async def test_a_part_that_breaks_is_unknown_and_the_others_go_on(tmp_path: Path, outbound: Outbound) -> None:
    proc = machine(tmp_path)
    part = Host(name="node", proc=str(proc), rootfs=str(tmp_path))
    await part.collect(NOON, outbound)
    (proc / "loadavg").write_text("not a number")
    tick = (await part.collect(NOON + timedelta(seconds=5), outbound)).ticks[0]
    assert values(tick)["node_scrape_collector_success", "loadavg"] == 0.0
    gone = {metric_name(s) for s, stale in zip(tick.layout.series, is_stale(tick.values), strict=True) if stale}
    assert gone == {"node_load1", "node_load5", "node_load15"}


async def test_a_place_without_procfs_is_refused(tmp_path: Path, outbound: Outbound) -> None:
    with pytest.raises(CollectError, match="holds no Linux process file system") as failure:
        await Host(name="node", proc=str(tmp_path)).collect(NOON, outbound)
    assert failure.value.reason == "unsupported"


async def test_a_hanging_file_system_costs_the_timeout_once_and_is_named(
    tmp_path: Path, outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()

    def hang(proc: str) -> Iterator[Reading]:
        free.wait(20)
        yield "node_load1", (), 1.0

    monkeypatch.setitem(PARTS, "loadavg", hang)
    part = Host(name="node", proc=str(machine(tmp_path)), rootfs=str(tmp_path), timeout=0.2)
    before = threading.active_count()
    for _ in range(3):
        with pytest.raises(CollectError, match="file system hangs") as failure:
            await part.collect(NOON, outbound)
        assert failure.value.reason == "timeout"
    assert threading.active_count() <= before + 2  # one that hangs, whatever is asked meanwhile
    free.set()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        await asyncio.sleep(0.01)
        try:
            assert (await part.collect(NOON, outbound)).ticks
            break
        except CollectError:
            continue
    else:
        pytest.fail("the collector did not come back")
    await part.close()


async def test_processes_are_read_every_nth_time_and_marked_stale_on_failure(
    tmp_path: Path, outbound: Outbound
) -> None:
    proc = machine(tmp_path)
    process(proc, 10, "nginx", seconds=5, pages=3)
    part = Host(name="node", proc=str(proc), rootfs=str(tmp_path), processes_every=3)
    ticks = [len((await part.collect(NOON + timedelta(seconds=n), outbound)).ticks) for n in range(4)]
    assert ticks == [2, 1, 1, 2]
    stale = part.stale_ticks(NOON + timedelta(seconds=9))
    assert [tick.target for tick in stale] == ["host/node", "host/node#processes"]
    assert part.stale_ticks(NOON + timedelta(seconds=10)) == []


def scan(groups: Processes, proc: Path) -> dict[tuple[str, str], float]:
    return {
        (name.removeprefix("watchkeeper_process_"), own[0][1]): value for name, own, value in groups.scan(str(proc))
    }


def test_processes_of_one_name_are_summed_and_their_time_never_falls(tmp_path: Path) -> None:
    groups = Processes(20)
    process(tmp_path, 1, "web) (x", seconds=10, pages=2)
    process(tmp_path, 2, "web) (x", seconds=20, pages=3)
    first = scan(groups, tmp_path)
    assert first["cpu_seconds_total", "web) (x"] == 30.0
    assert first["resident_memory_bytes", "web) (x"] == 5 * PAGE
    assert first["count", "web) (x"] == 2.0
    (tmp_path / "2" / "stat").unlink()
    process(tmp_path, 1, "web) (x", seconds=11, pages=2)
    assert scan(groups, tmp_path)["cpu_seconds_total", "web) (x"] == 31.0
    process(tmp_path, 1, "web) (x", seconds=1, pages=2, start=99)  # the number was given to a new process
    assert scan(groups, tmp_path)["cpu_seconds_total", "web) (x"] == 32.0


def test_only_the_busiest_and_the_largest_groups_are_kept(tmp_path: Path) -> None:
    for pid in range(1, 40):
        process(tmp_path, pid, f"p{pid:02}", seconds=pid, pages=0)
        process(tmp_path, 100 + pid, f"m{pid:02}", seconds=0, pages=pid)
    names = {name for _, name in scan(Processes(6), tmp_path)}
    assert names == {"p39", "p38", "p37", "m39", "m38", "m37"}


async def test_the_real_machine_gives_many_series_of_one_layout(outbound: Outbound) -> None:
    part = Host(name="node")
    await part.collect(NOON, outbound)
    layouts = set()
    for n in range(1, 6):
        found = await part.collect(NOON + timedelta(seconds=5 * n), outbound)
        layouts.add(id(found.ticks[0].layout))
    assert len(found.ticks[0].layout) > 100
    assert len(layouts) == 1


def test_mounts_fall_back_to_the_own_list(tmp_path: Path) -> None:
    (tmp_path / "mounts").write_text("/dev/a / ext4 rw 0 0\n")
    assert host_mounts.mounts(str(tmp_path), remote=False) == [("/dev/a", "/", "ext4", False)]
