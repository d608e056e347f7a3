"""The service catalogue: what there is, what each thing brings, and how much of it is watched."""

from watchkeeper.app.catalogue.expand import expand, read

__all__ = ["expand", "read"]
