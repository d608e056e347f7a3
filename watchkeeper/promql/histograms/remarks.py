"""What an answer with histograms is remarked on with, in Prometheus's words (util/annotations)."""

from __future__ import annotations

from collections.abc import Sequence

from watchkeeper.model import Labels, metric_name
from watchkeeper.promql.context import Context
from watchkeeper.promql.histograms.combine import Combined

MIXED = "encountered a mix of histograms and floats for"


def mixed_range(context: Context, series: Labels, position: int) -> None:
    context.warn(f'{MIXED} metric name "{metric_name(series)}"', position)


def mixed_aggregation(context: Context, position: int) -> None:
    context.warn(f"{MIXED} aggregation", position)


def ignored_in_range(context: Context, series: Labels, position: int) -> None:
    context.inform(
        f'ignored histograms in a range containing both floats and histograms for metric name "{metric_name(series)}"',
        position,
    )


def ignored_in_aggregation(context: Context, op: str, position: int) -> None:
    context.inform(f"ignored histogram in {op} aggregation", position)


def mixed_kinds(context: Context, name: str, position: int) -> None:
    context.warn(
        f'vector contains a mix of histograms with exponential and custom buckets schemas for metric name "{name}"',
        position,
    )


def incompatible_layout(context: Context, op: str, position: int) -> None:
    context.warn(f"incompatible bucket layout encountered for binary operator {op}", position)


def incompatible_types(context: Context, op: str, sides: Sequence[str], position: int) -> None:
    context.inform(
        f'incompatible sample types encountered for binary operator "{op}": {sides[0]} {op} {sides[1]}', position
    )


def not_a(context: Context, kind: str, series: Labels, position: int) -> None:
    context.warn(f'this native histogram metric is not a {kind}: "{metric_name(series)}"', position)


def reconciled(context: Context, operation: str, position: int) -> None:
    context.inform(f"mismatched custom buckets were reconciled during {operation}", position)


def combined(context: Context, made: Combined, operation: str, position: int) -> None:
    """Both remarks that putting histograms together may earn."""
    if made.collision:
        context.warn(f"conflicting counter resets during histogram {operation}", position)
    if made.reconciled:
        reconciled(context, operation, position)
