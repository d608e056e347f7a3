"""Kinds of log lines, learned from the lines: no pattern per system, no training, no state but counts."""

from __future__ import annotations

from .miner import OTHER, Template, TemplateMiner, parse

__all__ = ["OTHER", "Template", "TemplateMiner", "parse"]
