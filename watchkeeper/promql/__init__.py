"""PromQL with the meaning of Prometheus 3, evaluated over matrices."""

from watchkeeper.errors import QueryError
from watchkeeper.promql.context import QueryLimits
from watchkeeper.promql.durations import format_duration, parse_duration
from watchkeeper.promql.engine import Asked, Engine
from watchkeeper.promql.gate import Gate
from watchkeeper.promql.histograms.model import Histogram
from watchkeeper.promql.histograms.value import NativeValue, pairs
from watchkeeper.promql.memory import MemoryReader
from watchkeeper.promql.parse import metric_names, parse, reach, selectors
from watchkeeper.promql.pushed import Pushed
from watchkeeper.promql.result import RangeMatrix, Result, Scalar, StringValue, Vector, format_value
from watchkeeper.promql.unbroken import unbroken

__all__ = [
    "Asked",
    "Engine",
    "Gate",
    "Histogram",
    "MemoryReader",
    "NativeValue",
    "Pushed",
    "QueryError",
    "QueryLimits",
    "RangeMatrix",
    "Result",
    "Scalar",
    "StringValue",
    "Vector",
    "format_duration",
    "format_value",
    "metric_names",
    "pairs",
    "parse",
    "parse_duration",
    "reach",
    "selectors",
    "unbroken",
]
