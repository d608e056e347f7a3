"""The sample store: `EmbeddedStore` keeps every series of one machine in one directory."""

from watchkeeper.store.samples.embedded import EmbeddedStore
from watchkeeper.store.samples.limits import Limits, Sizes

__all__ = ["EmbeddedStore", "Limits", "Sizes"]
