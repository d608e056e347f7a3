"""Journeys may run on every kind of sample store."""

from __future__ import annotations

from support.kept import kept

__all__ = ["kept"]
