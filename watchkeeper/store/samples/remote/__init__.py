"""The remote sample store: a Prometheus-compatible server keeps the samples, this machine only the newest hours."""

from watchkeeper.store.samples.remote.sender import Pace
from watchkeeper.store.samples.remote.server import Address, Server, ServerError
from watchkeeper.store.samples.remote.store import RemoteStore

__all__ = ["Address", "Pace", "RemoteStore", "Server", "ServerError"]
