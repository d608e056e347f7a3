"""Kinds of log lines, learned from the lines: no pattern per system, no training, no state but counts."""

from __future__ import annotations

from .miner import OTHER, Template, TemplateMiner, parse
from .unusual import Shares, Step, Steps

__all__ = ["OTHER", "Shares", "Step", "Steps", "Template", "TemplateMiner", "parse"]
