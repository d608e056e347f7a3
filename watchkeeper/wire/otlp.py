"""OTLP's metrics as samples, translated as Prometheus translates them.

The frame of a request is cut without looking into its points, so that their number and size are known before any is
unfolded: two bytes can stand for an object of a hundred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from watchkeeper.model import Labels, labels
from watchkeeper.model.series import FloatArray, IntArray
from watchkeeper.wire.errors import TooLargeError, WireError
from watchkeeper.wire.messages import parse
from watchkeeper.wire.otlp_labels import About, Translation, about
from watchkeeper.wire.otlp_names import metric_name
from watchkeeper.wire.otlp_points import KINDS, PointError, read
from watchkeeper.wire.remote_write import About as Metadata

M = TypeVar("M", bound=Message)

#: Points, and resources, scopes and metrics together, that one request may have.
MOST_POINTS, MOST_PARTS = 500_000, 100_000
#: Bytes of one point, resource or scope.
MOST_BYTES = 1 << 20
#: AggregationTemporality.
CUMULATIVE, DELTA = 2, 1
#: target_info is said this often between the first and the last point of a resource, and as often at most.
INFO_EVERY_MS, MOST_INFO = 150_000, 25


@dataclass(slots=True)
class Decoded:
    """Samples of one request: sample i belongs to ``series[codes[i]]``."""

    series: Sequence[Labels] = ()
    codes: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    times: IntArray = field(default_factory=lambda: np.empty(0, np.int64))  #: milliseconds since the epoch
    values: FloatArray = field(default_factory=lambda: np.empty(0))  #: staleness markers bit for bit
    points: int = 0  #: that were sent, refused ones too
    refused: Counter[str] = field(default_factory=Counter)  #: points by reason
    reasons: dict[str, str] = field(default_factory=dict)  #: reason -> the first case in words
    about: list[Metadata] = field(default_factory=list)


def decode(body: bytes, settings: Translation) -> Decoded:
    """An ExportMetricsServiceRequest, unpacked. Raises WireError; what only concerns some points is in ``refused``."""
    gathered = _Gathered(settings)
    for raw in gathered.parts(parse("OtlpRequest", body).resource_metrics):
        gathered.resource(raw)
    return gathered.decoded()


class _Gathered:
    def __init__(self, settings: Translation) -> None:
        self._settings, self._out, self._parts = settings, Decoded(), 0
        self._places: dict[Labels, int] = {}
        self._rows: list[tuple[int, int, float]] = []
        self._times: list[int] = []  #: of the points of one resource

    def parts(self, found: Sequence[bytes]) -> Sequence[bytes]:
        """The same, counted before they are made objects of."""
        self._parts += len(found)
        if self._parts > MOST_PARTS:
            raise TooLargeError(f"the request has more than {MOST_PARTS} resources, scopes and metrics")
        return found

    def resource(self, raw: bytes) -> None:
        self._times = []
        envelope = parse("OtlpResource", raw)
        resource = _leaf(Resource, envelope.resource)
        info = about(resource, InstrumentationScope(), "", self._settings)
        for one in self.parts(envelope.scope_metrics):
            scope = parse("OtlpScope", one)
            found = _leaf(InstrumentationScope, scope.scope)
            said = about(resource, found, _utf8(scope.schema_url), self._settings)
            for metric in self.parts(scope.metrics):
                self._metric(parse("OtlpMetric", metric), said)
        if self._times and info.info:
            for at in _info_times(min(self._times), max(self._times)):
                self._add(labels("target_info", info.info), at, 1.0)

    def _metric(self, metric: Any, said: About) -> None:
        name, unit = _utf8(metric.name), _utf8(metric.unit)
        for kind in (*KINDS, "exponential_histogram"):
            raw = getattr(metric, kind)
            if not raw:
                continue
            data = parse("OtlpData", raw)
            self._out.points += len(data.points)
            if self._out.points > MOST_POINTS:
                raise TooLargeError(f"the request has more than {MOST_POINTS} points")
            reason = _wrong(kind, data, name)
            if reason:
                self._refuse(*reason, len(data.points))
            elif data.points:
                self._points(kind, data, metric, (name, unit), said)

    def _points(self, kind: str, data: Any, metric: Any, words: tuple[str, str], said: About) -> None:
        sort = ("counter" if data.monotonic else "") if kind == "sum" else kind
        name = metric_name(*words, sort)
        if not name:
            self._refuse("name_invalid", f"the name {words[0]!r} has no letter or digit", len(data.points))
            return
        kinds = {"": "gauge", "counter": "counter"}
        self._out.about.append(Metadata(name, kinds.get(sort, sort), _utf8(metric.description), words[1]))
        sample, samples = KINDS[kind]
        for raw in data.points:
            point = read(sample, _small(raw))
            try:
                rows = list(samples(point))
            except PointError as error:
                self._refuse(error.reason, f"{words[0]}: {error}", 1)
                continue
            at, base = point.time_unix_nano // 1_000_000, said.labels(point.attributes)
            self._times.append(at)
            for suffix, more, value in rows:
                own = base if more is None else {**base, more[0]: more[1]}
                self._add(labels(name + suffix, own), at, value)

    def _add(self, series: Labels, at: int, value: float) -> None:
        self._rows.append((self._places.setdefault(series, len(self._places)), at, value))

    def _refuse(self, reason: str, words: str, points: int) -> None:
        self._out.refused[reason] += points
        self._out.reasons.setdefault(reason, words)

    def decoded(self) -> Decoded:
        out = self._out
        if self._rows:
            codes, times, values = zip(*self._rows, strict=True)
            out.codes, out.times = np.array(codes, dtype=np.int64), np.array(times, dtype=np.int64)
            out.values = np.array(values, dtype=np.float64)
        out.series = tuple(self._places)
        out.refused = +out.refused
        return out


def _wrong(kind: str, data: Any, name: str) -> tuple[str, str] | None:
    """(reason, words) for a metric none of whose points can be kept."""
    if kind == "exponential_histogram":
        return "exponential_histogram", f"{name}: exponential histograms are not kept; send explicit buckets"
    if kind in ("sum", "histogram") and data.temporality != CUMULATIVE:
        if data.temporality == DELTA:
            return "delta_temporality", f"{name}: delta temporality is not kept; set the exporter to cumulative"
        return "no_temporality", f"{name}: the aggregation temporality is not said; cumulative is kept"
    return None


def _info_times(first: int, last: int) -> list[int]:
    first = max(first, last - INFO_EVERY_MS * MOST_INFO)
    return [*range(first, last, INFO_EVERY_MS), last]


def _leaf(kind: type[M], raw: bytes) -> M:
    try:
        return kind.FromString(_small(raw))
    except DecodeError:
        raise WireError(f"the body is no OTLP message: a {kind.DESCRIPTOR.name} cannot be read") from None


def _small(raw: bytes) -> bytes:
    if len(raw) > MOST_BYTES:
        raise TooLargeError(f"a point, resource or scope has more than {MOST_BYTES >> 20} MiB")
    return raw


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise WireError("the body is no OTLP message: a name is not UTF-8") from None
