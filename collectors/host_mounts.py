"""Sizes of mounted file systems, named as node_exporter names them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from .base import Reading
from .host_files import text

#: Mount points and types that hold no data of their own (node_exporter's defaults).
_NO_MOUNT = re.compile(r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)")
_NO_TYPE = re.compile(
    r"^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs"
    r"|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)$"
)
#: A dead server behind one of these blocks whoever asks for its size, for ever.
_REMOTE = re.compile(r"^(nfs4?|cifs|smb3?|ceph|glusterfs|lustre|9p|fuse\..+|afs)$")
_OCTAL = re.compile(r"\\([0-7]{3})")


def mounts(proc: str, *, remote: bool) -> list[tuple[str, str, str, bool]]:
    """(device, mount point, type, read-only) of each file system worth watching, once per mount point."""
    found: dict[str, tuple[str, str, str, bool]] = {}
    for line in text(f"{proc}/1/mounts" if os.access(f"{proc}/1/mounts", os.R_OK) else f"{proc}/mounts").splitlines():
        device, point, kind, options = line.split(" ")[:4]
        point = _OCTAL.sub(lambda octal: chr(int(octal.group(1), 8)), point)
        hidden = _NO_MOUNT.match(point) or (_NO_TYPE.match(kind) and point != "/")
        if not hidden and (remote or not _REMOTE.match(kind)):
            found[point] = (device, point, kind, "ro" in options.split(","))
    return list(found.values())


def filesystems(proc: str, rootfs: str, *, remote: bool) -> Iterator[Reading]:
    """Sizes by mount point; one that cannot be read is marked, and its sizes stay unknown."""
    for device, point, kind, read_only in mounts(proc, remote=remote):
        own = (("device", device), ("fstype", kind), ("mountpoint", point))
        try:
            size = os.statvfs((rootfs.rstrip("/") + point) or "/")
        except OSError:
            yield "node_filesystem_device_error", own, 1.0
            continue
        yield "node_filesystem_device_error", own, 0.0
        yield "node_filesystem_readonly", own, float(read_only)
        yield "node_filesystem_size_bytes", own, float(size.f_blocks * size.f_frsize)
        yield "node_filesystem_free_bytes", own, float(size.f_bfree * size.f_frsize)
        yield "node_filesystem_avail_bytes", own, float(size.f_bavail * size.f_frsize)
        yield "node_filesystem_files", own, float(size.f_files)
        yield "node_filesystem_files_free", own, float(size.f_ffree)
