"""The kernel's text files as readings, named as node_exporter names them (its 1.5 defaults)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

from .base import Reading

#: Clock ticks a second of /proc/stat.
USER_HZ = os.sysconf("SC_CLK_TCK")
#: Bytes of one sector in /proc/diskstats, whatever the disk's own size (Documentation/admin-guide/iostats.rst).
SECTOR = 512

CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
#: Columns of /proc/diskstats behind the device name: metric, factor.
DISK = (
    ("reads_completed_total", 1.0), ("reads_merged_total", 1.0), ("read_bytes_total", SECTOR),
    ("read_time_seconds_total", 1e-3), ("writes_completed_total", 1.0), ("writes_merged_total", 1.0),
    ("written_bytes_total", SECTOR), ("write_time_seconds_total", 1e-3), ("io_now", 1.0),
    ("io_time_seconds_total", 1e-3), ("io_time_weighted_seconds_total", 1e-3), ("discards_completed_total", 1.0),
    ("discards_merged_total", 1.0), ("discarded_sectors_total", 1.0), ("discard_time_seconds_total", 1e-3),
    ("flush_requests_total", 1.0), ("flush_requests_time_seconds_total", 1e-3),
)  # fmt: skip
NETWORK = tuple(
    f"node_network_{way}_{what}_total"
    for way, whats in (
        ("receive", ("bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast")),
        ("transmit", ("bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed")),
    )
    for what in whats
)
STAT = {
    "intr": "node_intr_total",
    "ctxt": "node_context_switches_total",
    "btime": "node_boot_time_seconds",
    "processes": "node_forks_total",
    "procs_running": "node_procs_running",
    "procs_blocked": "node_procs_blocked",
}
VMSTAT = ("oom_kill", "pgpgin", "pgpgout", "pswpin", "pswpout", "pgfault", "pgmajfault")
PRESSURE = {"some": "waiting", "full": "stalled"}
_NOT_A_DISK = re.compile(r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$")
_NETSTAT = re.compile(
    r"^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)"
    r"|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)"
    r"|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)"
    r"|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$"
)


def text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def cpu(proc: str) -> Iterator[Reading]:
    """Seconds of each processor by mode, and the counters that share its file."""
    for line in text(f"{proc}/stat").splitlines():
        word, _, rest = line.partition(" ")
        if word.startswith("cpu") and word != "cpu":
            figures = [int(part) / USER_HZ for part in rest.split()]
            where = ("cpu", word[3:])
            for mode, seconds in zip(CPU_MODES, figures, strict=False):
                yield "node_cpu_seconds_total", (where, ("mode", mode)), seconds
            for mode, seconds in zip(("user", "nice"), figures[8:], strict=False):
                yield "node_cpu_guest_seconds_total", (where, ("mode", mode)), seconds
        elif word in STAT:
            yield STAT[word], (), float(rest.split(None, 1)[0])


def memory(proc: str) -> Iterator[Reading]:
    for line in text(f"{proc}/meminfo").splitlines():
        name, _, rest = line.partition(":")
        figure = rest.split()
        plain = name.replace("(", "_").replace(")", "")
        if len(figure) == 2 and figure[1] == "kB":
            yield f"node_memory_{plain}_bytes", (), float(figure[0]) * 1024
        elif figure:
            yield f"node_memory_{plain}", (), float(figure[0])


def load(proc: str) -> Iterator[Reading]:
    for name, figure in zip(("node_load1", "node_load5", "node_load15"), text(f"{proc}/loadavg").split(), strict=False):
        yield name, (), float(figure)


def disks(proc: str) -> Iterator[Reading]:
    for line in text(f"{proc}/diskstats").splitlines():
        _, _, device, *figures = line.split()
        if _NOT_A_DISK.match(device):
            continue
        own = (("device", device),)
        for (name, factor), figure in zip(DISK, figures, strict=False):
            yield f"node_disk_{name}", own, int(figure) * factor


def network(proc: str) -> Iterator[Reading]:
    for line in text(f"{proc}/net/dev").splitlines()[2:]:
        device, _, figures = line.rpartition(":")
        own = (("device", device.strip()),)
        for name, figure in zip(NETWORK, figures.split(), strict=False):
            yield name, own, float(figure)


def netstat(proc: str) -> Iterator[Reading]:
    """Pairs of lines: ``Tcp: RtoMin CurrEstab`` and ``Tcp: 200 5``."""
    for file in ("snmp", "netstat"):
        lines = text(f"{proc}/net/{file}").splitlines()
        for names, figures in zip(lines[::2], lines[1::2], strict=False):
            family, *fields = names.split()
            for field, figure in zip(fields, figures.split()[1:], strict=False):
                name = f"{family[:-1]}_{field}"
                if _NETSTAT.match(name):
                    yield f"node_netstat_{name}", (), float(figure)


def sockets(proc: str) -> Iterator[Reading]:
    for line in text(f"{proc}/net/sockstat").splitlines():
        family, _, rest = line.partition(":")
        parts = rest.split()
        for field, figure in zip(parts[::2], parts[1::2], strict=False):
            yield f"node_sockstat_{family}_{field}", (), float(figure)


def pressure(proc: str) -> Iterator[Reading]:
    """Seconds lost to waiting for a resource. ``cpu full`` is always zero for the whole system and left out."""
    for resource in ("cpu", "io", "memory"):
        for line in text(f"{proc}/pressure/{resource}").splitlines():
            word, _, rest = line.partition(" ")
            if resource == "cpu" and word == "full":
                continue
            micros = int(rest.rpartition("total=")[2])
            yield f"node_pressure_{resource}_{PRESSURE[word]}_seconds_total", (), micros / 1e6


def vmstat(proc: str) -> Iterator[Reading]:
    for line in text(f"{proc}/vmstat").splitlines():
        name, _, figure = line.partition(" ")
        if name in VMSTAT:
            yield f"node_vmstat_{name}", (), float(figure)


def filefd(proc: str) -> Iterator[Reading]:
    allocated, _, maximum = text(f"{proc}/sys/fs/file-nr").split()
    yield "node_filefd_allocated", (), float(allocated)
    yield "node_filefd_maximum", (), float(maximum)


def conntrack(proc: str) -> Iterator[Reading]:
    yield "node_nf_conntrack_entries", (), float(text(f"{proc}/sys/net/netfilter/nf_conntrack_count"))
    yield "node_nf_conntrack_entries_limit", (), float(text(f"{proc}/sys/net/netfilter/nf_conntrack_max"))


def entropy(proc: str) -> Iterator[Reading]:
    yield "node_entropy_available_bits", (), float(text(f"{proc}/sys/kernel/random/entropy_avail"))
    yield "node_entropy_pool_size_bits", (), float(text(f"{proc}/sys/kernel/random/poolsize"))


def uname(proc: str) -> Iterator[Reading]:
    kernel = f"{proc}/sys/kernel"
    own = (
        ("domainname", text(f"{kernel}/domainname").strip()),
        ("machine", os.uname().machine),
        ("nodename", text(f"{kernel}/hostname").strip()),
        ("release", text(f"{kernel}/osrelease").strip()),
        ("sysname", text(f"{kernel}/ostype").strip()),
        ("version", text(f"{kernel}/version").strip()),
    )
    yield "node_uname_info", own, 1.0


#: Parts by node_exporter's collector names, in the order they are read.
PARTS: dict[str, Callable[[str], Iterator[Reading]]] = {
    "cpu": cpu,
    "meminfo": memory,
    "loadavg": load,
    "diskstats": disks,
    "netdev": network,
    "netstat": netstat,
    "sockstat": sockets,
    "pressure": pressure,
    "vmstat": vmstat,
    "filefd": filefd,
    "conntrack": conntrack,
    "entropy": entropy,
    "uname": uname,
}
