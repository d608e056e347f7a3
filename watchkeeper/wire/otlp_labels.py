"""OTLP's attributes as labels: what a resource, a scope and a point say about a series."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from watchkeeper.promql import format_value
from watchkeeper.wire.otlp_names import label_name

NAME, NAMESPACE, INSTANCE = "service.name", "service.namespace", "service.instance.id"
IDENTIFYING = frozenset({NAME, NAMESPACE, INSTANCE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What Prometheus's ``otlp:`` section sets, with its defaults."""

    promote_resource_attributes: frozenset[str] = frozenset()  #: attributes of resources that become labels
    promote_scope_metadata: bool = False  #: name, version and attributes of the scope become ``otel_scope_*``
    keep_identifying_resource_attributes: bool = False  #: target_info has service.name and its kin too


@dataclass(frozen=True, slots=True)
class About:
    """What a resource and a scope add to every series."""

    fixed: Mapping[str, str]  #: job and instance: they win over attributes
    promoted: Mapping[str, str]  #: attributes win over these
    scope: Mapping[str, str]
    info: Mapping[str, str]  #: labels of target_info; empty when there is none

    def labels(self, attributes: Iterable[KeyValue]) -> dict[str, str]:
        """The labels of a point, its name aside."""
        return {**self.promoted, **named(attributes), **self.scope, **self.fixed}


def about(resource: Resource, scope: InstrumentationScope, schema_url: str, settings: Translation) -> About:
    found = {one.key: text(one.value) for one in resource.attributes}
    fixed = {}
    if NAME in found:
        fixed["job"] = f"{found[NAMESPACE]}/{found[NAME]}" if NAMESPACE in found else found[NAME]
    if INSTANCE in found:
        fixed["instance"] = found[INSTANCE]
    wanted = settings.promote_resource_attributes
    promoted = named(one for one in resource.attributes if one.key in wanted)
    return About(fixed, promoted, _scope(scope, schema_url, settings), _info(resource, fixed, settings))


def _info(resource: Resource, fixed: Mapping[str, str], settings: Translation) -> Mapping[str, str]:
    """Nothing without a job or an instance to find it by, and nothing that would say no more than they do."""
    more = [one for one in resource.attributes if one.key not in IDENTIFYING]
    if not more or not fixed:
        return {}
    return {**named(resource.attributes if settings.keep_identifying_resource_attributes else more), **fixed}


def _scope(scope: InstrumentationScope, schema_url: str, settings: Translation) -> Mapping[str, str]:
    if not settings.promote_scope_metadata or not scope.name:
        return {}
    own = {label_name(f"otel_scope_{one.key}"): text(one.value) for one in scope.attributes}
    return {
        "otel_scope_name": scope.name,
        "otel_scope_version": scope.version,
        "otel_scope_schema_url": schema_url,
        **own,
    }


def named(attributes: Iterable[KeyValue]) -> dict[str, str]:
    """Labels of attributes; two that become one label are joined by ``;`` in the order of their keys."""
    found: dict[str, str] = {}
    for key, value in sorted((one.key, text(one.value)) for one in attributes):
        name = label_name(key)
        if name:
            found[name] = f"{found[name]};{value}" if name in found else value
    return found


def text(value: AnyValue) -> str:
    """As OTLP's libraries write a value that must be text."""
    plain = _plain(value)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, float):
        return _number(plain)
    return "" if plain is None else json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return {one.key: _plain(one.value) for one in value.kvlist_value.values}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind)


def _number(value: float) -> str:
    """JSON's words for a number; those that JSON has no word for as Go writes them."""
    return format_value(value).replace("e-0", "e-") if math.isfinite(value) else format_value(value)
