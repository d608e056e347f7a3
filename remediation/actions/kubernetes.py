"""A workload or node of Kubernetes: scaled, restarted pod by pod, led back to a revision, cordoned."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SecretStr
from pydantic.dataclasses import dataclass

from remediation.situation import Impact
from watchkeeper.config.types import STRICT
from watchkeeper.errors import ActionError
from watchkeeper.model import Intent, RiskClass, Target
from watchkeeper.ports import Reading

from . import said
from .base import holds, options_of, state_hash, untouched
from .kubernetes_api import Api, digest, number, template_of
from .pools import governed, scaling_impact

#: What each resource can be asked for.
WORDS = {
    "deployments": ("count", "restart", "revision"),
    "statefulsets": ("count", "restart"),
    "nodes": ("cordon",),
}
#: Annotation of the pod template whose change restarts every pod, one after the other.
RESTARTED = "watchkeeper.io/restarted"
REVISION = "deployment.kubernetes.io/revision"
POLL_SECONDS = 0.2
#: How often a replacement is made anew because somebody wrote the status meanwhile.
TRIES = 5
MOST = 100_000


@dataclass(frozen=True, kw_only=True, config=STRICT)
class KubernetesOptions:
    """One object. ``server`` empty: the cluster whose pod this is, with its own token."""

    resource: Literal["deployments", "statefulsets", "nodes"] = "deployments"
    object: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]  #: its name
    namespace: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")] = "default"
    server: str = ""
    token: SecretStr = SecretStr("")
    token_file: str = ""
    ca_file: str = ""
    floor: Annotated[int, Field(ge=1)] = 1  #: pods, or nodes, that always run
    ceiling: Annotated[int, Field(ge=1)] = MOST  #: pods that run at most
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5.0  #: for each question
    ready_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0  #: until the cluster has taken the change in


class Kubernetes:
    """Desired state: ``{"replicas": 5}``, ``{"restarted": "g7"}``, ``{"template": hash}``, ``{"unschedulable": true}``.

    A Horizontal Pod Autoscaler over the object is another controller of its size: it is never scaled beside it.
    """

    risk = RiskClass.A1
    capabilities: ClassVar[tuple[str, ...]] = ("scale", "restart", "rollback", "cordon")
    link: ClassVar[str] = ""
    options: ClassVar[type[Any]] = KubernetesOptions

    def read(self, target: Target, settings: Mapping[str, Any]) -> Reading:
        options = options_of(KubernetesOptions, settings, "kubernetes")
        try:
            return _node(options) if options.resource == "nodes" else _workload(options)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise said.unreadable(target.name, f"{type(error).__name__}:{error}") from None

    def desired(self, reading: Reading, parameters: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
        """From one of ``count: n``, ``restart: true``, ``revision: n`` (0: the one before) or ``cordon: true``."""
        if not parameters:
            return {}, {}
        resource, state = str(reading.state["resource"]), reading.state
        word, value = said.exactly_one(parameters, WORDS[resource])
        if word == "count":
            return {"replicas": said.whole_number(word, value, 1, MOST)}, {"replicas": state["replicas"]}
        if word == "cordon":
            if not isinstance(value, bool):
                raise said.one_of(word, ("true", "false"))
            return {"unschedulable": value}, {"unschedulable": state["unschedulable"]}
        if word == "restart":
            if value is not True:
                raise said.one_of(word, ("true",))
            return {"restarted": f"g{state['generation']}"}, {"restarted": state["restarted"]}
        return {"template": _revision(state, value)}, {"template": state["template"]}

    def impact(self, reading: Reading, desired: Mapping[str, object], settings: Mapping[str, Any]) -> Impact:
        options = options_of(KubernetesOptions, settings, "kubernetes")
        state, healthy, total = reading.state, reading.capacity["healthy"], reading.capacity["total"]
        touched: tuple[str, ...] = ()
        direction, risk, problem = "same", RiskClass.A1, ""
        if desired and not holds(state, desired):
            if "replicas" in desired:
                return _scaling(options, reading, int(str(desired["replicas"])))
            if "unschedulable" in desired:
                touched, away = (options.object,), desired["unschedulable"] is True
                direction, healthy = ("in" if away else "out"), healthy - away
            else:  # as many pods at a time as the object itself allows
                each = int(reading.capacity["at_a_time"])
                touched = tuple(f"{options.object}/{place}" for place in range(each))
                direction, risk, healthy = "restart", RiskClass.A3, healthy - each
                problem = "the rollout is paused" if state.get("paused") else ""
        return Impact(
            touched=touched,
            healthy_after=max(healthy, 0.0),
            total=total,
            floor=float(options.floor),
            ceiling=max(float(options.ceiling), total),
            direction=direction,
            risk=risk,
            problem=problem,
        )

    def reached(self, reading: Reading, desired: Mapping[str, object]) -> bool:
        return holds(reading.state, desired)

    def ours(self, reading: Reading, before: Mapping[str, object], desired: Mapping[str, object]) -> bool:
        return untouched(reading.state, before, desired)

    def apply(self, desired: Mapping[str, object], intent: Intent, settings: Mapping[str, Any]) -> Mapping[str, object]:
        """Compare-and-set by resourceVersion; what was written meanwhile is looked at before it is tried again."""
        options = options_of(KubernetesOptions, settings, "kubernetes")
        target, what = Target(kind="kubernetes", name=str(settings.get("name", ""))), options.object
        first = self.read(target, settings)
        if rival := str(first.state.get("rival", "")) if "replicas" in desired else "":
            raise said.refused(what, "scale", rival)
        reading, api = first, _api(options)
        for _ in range(TRIES):
            if self.reached(reading, desired):
                break
            body = api.one(options.resource, _space(options), what)
            if _epoch(options, body) != first.epoch:
                raise said.changed(what, body["metadata"].get("resourceVersion"))
            if api.replace(options.resource, _space(options), _changed(options, api, body, desired)):
                break
            reading = self.read(target, settings)
        return {**_taken_in(options, desired, lambda: self.read(target, settings)), "token": intent.token}


def _api(options: KubernetesOptions) -> Api:
    return Api(
        server=options.server,
        token=options.token,
        token_file=options.token_file,
        ca_file=options.ca_file,
        timeout=options.timeout_seconds,
    )


def _space(options: KubernetesOptions) -> str:
    return "" if options.resource == "nodes" else options.namespace


def _workload(options: KubernetesOptions) -> Reading:
    api = _api(options)
    found = api.one(options.resource, options.namespace, options.object)
    spec, status = found["spec"], found.get("status") or {}
    replicas, generation = (
        number(spec.get("replicas", 1), "replicas"),
        number(found["metadata"]["generation"], "generation"),
    )
    annotations = spec["template"].get("metadata", {}).get("annotations") or {}
    state: dict[str, object] = {
        "resource": options.resource,
        "replicas": replicas,
        "generation": generation,
        "observed": int(status.get("observedGeneration") or 0),
        "restarted": str(annotations.get(RESTARTED, "")),
        "template": digest(template_of(found)),
        "paused": spec.get("paused") is True,
        "rival": _rival(options, api),
    }
    if options.resource == "deployments":
        state["revisions"] = {revision: digest(template) for revision, template in _revisions(api, found).items()}
    capacity = {
        "healthy": float(status.get("readyReplicas") or 0),
        "total": float(replicas),
        "at_a_time": float(_at_a_time(spec, replicas)),
    }
    return Reading(state=state, epoch=_epoch(options, found), capacity=capacity)


def _node(options: KubernetesOptions) -> Reading:
    nodes = _api(options).all("nodes", "")
    ready = {
        str(node["metadata"]["name"]): any(
            each.get("type") == "Ready" and each.get("status") == "True"
            for each in (node.get("status") or {}).get("conditions") or []
        )
        and (node.get("spec") or {}).get("unschedulable") is not True
        for node in nodes
    }
    own = next((node for node in nodes if node["metadata"]["name"] == options.object), None)
    if own is None:
        raise said.nobody("nodes", options.object, ready)
    cordoned = (own.get("spec") or {}).get("unschedulable") is True
    state: dict[str, object] = {"resource": "nodes", "unschedulable": cordoned}
    capacity = {"healthy": float(sum(ready.values())), "total": float(len(nodes))}
    return Reading(state=state, epoch=_epoch(options, own), capacity=capacity)


def _epoch(options: KubernetesOptions, found: Mapping[str, Any]) -> str:
    """Changes with what people and controllers ask for, not with what becomes of it."""
    asked = (found.get("spec") or {}).get("unschedulable") is True
    about = found["metadata"]
    return state_hash([about.get("uid"), asked if options.resource == "nodes" else about["generation"]])


def _rival(options: KubernetesOptions, api: Api) -> str:
    """The autoscaler that sets this object's size; one that cannot be asked for is not "none"."""
    kind = {"deployments": "Deployment", "statefulsets": "StatefulSet"}[options.resource]
    for each in api.all("horizontalpodautoscalers", options.namespace):
        aim = each["spec"]["scaleTargetRef"]
        if (aim.get("kind"), aim.get("name")) == (kind, options.object):
            return f"HorizontalPodAutoscaler/{each['metadata']['name']}"
    return ""


def _revisions(api: Api, found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Revision -> pod template, of the replica sets that the deployment owns."""
    labels = found["spec"]["selector"].get("matchLabels") or {}
    uid = found["metadata"].get("uid")
    return {
        str(each["metadata"]["annotations"][REVISION]): template_of(each)
        for each in api.all("replicasets", str(found["metadata"]["namespace"]), labels)
        if any(owner.get("uid") == uid for owner in each["metadata"].get("ownerReferences") or [])
        and REVISION in (each["metadata"].get("annotations") or {})
    }


def _revision(state: Mapping[str, Any], value: object) -> str:
    """The template of a revision; 0 is the newest one that is not what runs."""
    kept = {int(name): str(template) for name, template in state["revisions"].items()}
    wanted = said.whole_number("revision", value, 0, MOST)
    if wanted == 0:
        others = [revision for revision, template in kept.items() if template != state["template"]]
        wanted = max(others, default=0)
    if wanted not in kept:
        raise said.nobody("revision", wanted, kept)
    return kept[wanted]


def _at_a_time(spec: Mapping[str, Any], replicas: int) -> int:
    """Pods that a rollout may take away together: maxUnavailable, rounded down, one at least."""
    strategy = spec.get("strategy") or spec.get("updateStrategy") or {}
    if strategy.get("type") == "Recreate":
        return replicas
    given = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%" if "strategy" in spec else 1)
    share = str(given)
    count = replicas * int(share[:-1]) // 100 if share.endswith("%") else int(share)
    return min(max(count, 1), max(replicas, 1))


def _scaling(options: KubernetesOptions, reading: Reading, wanted: int) -> Impact:
    rival = str(reading.state.get("rival", ""))
    return scaling_impact(
        options.object,
        now=int(str(reading.state["replicas"])),
        wanted=wanted,
        healthy=reading.capacity["healthy"],
        floor=options.floor,
        ceiling=options.ceiling,
        problem=governed(options.object, rival) if rival else "",
    )


def _changed(
    options: KubernetesOptions, api: Api, body: dict[str, Any], desired: Mapping[str, object]
) -> dict[str, Any]:
    """The object with the wanted state in it; its resourceVersion stays, so that a later one refuses it."""
    spec: dict[str, Any] = body.setdefault("spec", {})
    if "replicas" in desired:
        count = int(str(desired["replicas"]))
        if not options.floor <= count <= options.ceiling:
            raise ActionError(f"{count} is outside of {options.floor} to {options.ceiling}")
        spec["replicas"] = count
    elif "unschedulable" in desired:
        spec["unschedulable"] = desired["unschedulable"] is True
    elif "restarted" in desired:
        annotations = spec["template"].setdefault("metadata", {}).setdefault("annotations", {})
        annotations[RESTARTED] = str(desired["restarted"])
        if not desired["restarted"]:
            del annotations[RESTARTED]
    else:
        kept = {digest(template): template for template in _revisions(api, body).values()}
        if desired["template"] not in kept:
            raise said.nobody("template", desired["template"], kept)
        spec["template"] = kept[str(desired["template"])]
    return body


def _taken_in(options: KubernetesOptions, desired: Mapping[str, object], read: Any) -> dict[str, object]:
    """Until the cluster says that it has seen the change; whether pods become ready is the symptom's business."""
    ends = time.monotonic() + options.ready_seconds
    while True:
        reading: Reading = read()
        state = reading.state
        if holds(state, desired) and int(str(state.get("observed", 0))) >= int(str(state.get("generation", 0))):
            return {"generation": state.get("generation"), "epoch": reading.epoch}
        if time.monotonic() > ends:
            raise said.not_reached(options.object, {"generation": state.get("generation")})
        time.sleep(POLL_SECONDS)
