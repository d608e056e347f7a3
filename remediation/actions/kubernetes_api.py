"""Objects of the Kubernetes API read and replaced: a replacement names the version it was made from, or is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from watchkeeper.outbound import Response

from . import said
from .base import mapping
from .web import ask, document, told, trust_of

#: Where a pod finds the way to the API.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
IN_CLUSTER = "https://kubernetes.default.svc"
GROUPS = {
    "deployments": "apis/apps/v1",
    "statefulsets": "apis/apps/v1",
    "replicasets": "apis/apps/v1",
    "horizontalpodautoscalers": "apis/autoscaling/v2",
    "nodes": "api/v1",
}
MAX_BYTES = 16 << 20
#: The template label that the controller itself adds to each replica set.
HASH_LABEL = "pod-template-hash"
OK, NOT_FOUND, CONFLICT = 200, 404, 409


@dataclass(frozen=True, kw_only=True)
class Api:
    """One cluster; ``server`` empty: the cluster whose pod this is."""

    server: str
    token: SecretStr
    token_file: str
    ca_file: str
    timeout: float  #: seconds for each question

    def one(self, resource: str, namespace: str, name: str) -> dict[str, Any]:
        return self._object(self._ask("GET", self._path(resource, namespace, name)), f"{resource}/{name}")

    def all(self, resource: str, namespace: str, labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Every object, whole: a list that goes on is refused, for half of it could hide the one that matters."""
        chosen = ",".join(f"{name}={value}" for name, value in sorted((labels or {}).items()))
        query = f"?{urlencode({'labelSelector': chosen})}" if chosen else ""
        found = self._object(self._ask("GET", self._path(resource, namespace) + query), resource)
        if mapping(found.get("metadata", {}), "metadata").get("continue"):
            raise said.unreadable(resource, "continue")
        items = found.get("items") or []
        return [dict(mapping(item, resource)) for item in items]

    def replace(self, resource: str, namespace: str, body: Mapping[str, Any]) -> bool:
        """True when it was replaced; False when somebody wrote it since it was read (409)."""
        name = str(body["metadata"]["name"])
        response = self._ask("PUT", self._path(resource, namespace, name), json.dumps(body).encode())
        if response.status == CONFLICT:
            return False
        if response.status != OK:
            refusal = said.refused(f"{resource}/{name}", "PUT", told(response), unknown=response.status >= 500)
            raise refusal
        return True

    def _path(self, resource: str, namespace: str, name: str = "") -> str:
        where = f"namespaces/{quote(namespace, safe='')}/" if namespace else ""
        tail = f"/{quote(name, safe='')}" if name else ""
        return f"{GROUPS[resource]}/{where}{resource}{tail}"

    def _ask(self, method: str, path: str, content: bytes = b"") -> Response:
        headers = {"accept": "application/json", "content-type": "application/json"}
        if token := self._token():
            headers["authorization"] = "Bearer " + token
        authority = self.ca_file or ("" if self.server else str(ACCOUNT / "ca.crt"))
        return ask(
            method,
            f"{(self.server or IN_CLUSTER).rstrip('/')}/{path}",
            what="kubernetes",
            headers=headers,
            content=content,
            timeout=self.timeout,
            trust=trust_of(authority),
            max_bytes=MAX_BYTES,
        )

    def _token(self) -> str:
        """Read anew for each question: a pod's token is renewed."""
        if self.token.get_secret_value():
            return self.token.get_secret_value()
        path = self.token_file or ("" if self.server else str(ACCOUNT / "token"))
        try:
            return Path(path).read_text(encoding="utf-8").strip() if path else ""
        except OSError as error:
            raise said.unreachable(path, error.strerror or error) from None

    @staticmethod
    def _object(response: Response, what: str) -> dict[str, Any]:
        if response.status != OK:
            raise said.refused(what, "GET", told(response))
        return dict(mapping(document(response, what), what))


def template_of(owner: Mapping[str, Any]) -> dict[str, Any]:
    """The pod template without the label that the controller adds."""
    template: dict[str, Any] = json.loads(json.dumps(owner["spec"]["template"]))
    labels = template.get("metadata", {}).get("labels")
    if isinstance(labels, dict):
        labels.pop(HASH_LABEL, None)
    if isinstance(template.get("metadata"), dict):
        template["metadata"].pop("creationTimestamp", None)
    return template


def digest(template: Mapping[str, Any]) -> str:
    text = json.dumps(template, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def number(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise said.unreadable(what, value)
    return value
