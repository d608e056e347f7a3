"""The API of Kubernetes by its official client: lists of objects as the API writes them, within bounds.

Its ``ApiClient`` (trust, connections, errors) is imported when it is first used, for it takes 40 MB; its API classes
would take 80 MB more for models that nothing here needs. Answers are read as they come: time and size stay bounded.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from watchkeeper.errors import CollectError

from .fetch import read_token

#: Where a pod finds the way to the API.
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
#: Objects asked for at a time, and the most of one list.
PAGE, MOST = 500, 50_000
#: Kind -> where it is listed; the braces hold ``namespaces/<name>/`` or nothing.
PATHS = {
    "node": "api/v1/nodes",
    "pod": "api/v1/{}pods",
    "service": "api/v1/{}services",
    "endpoints": "api/v1/{}endpoints",
    "event": "api/v1/{}events",
    "persistentvolumeclaim": "api/v1/{}persistentvolumeclaims",
    "deployment": "apis/apps/v1/{}deployments",
    "statefulset": "apis/apps/v1/{}statefulsets",
    "nodemetrics": "apis/metrics.k8s.io/v1beta1/nodes",
    "podmetrics": "apis/metrics.k8s.io/v1beta1/{}pods",
    "endpointslice": "apis/discovery.k8s.io/v1/{}endpointslices",
}


#: The client's modules import each other: two threads that load them at once dead-lock.
_LOADING = threading.Lock()


def _load() -> None:
    """The client, once: it takes a second that no server is slow for."""
    with _LOADING:
        for name in ("kubernetes.client", "kubernetes.utils.quantity"):
            importlib.import_module(name)


def own_namespace() -> str:
    """The namespace of the pod this runs in. Raises CollectError outside of a cluster."""
    try:
        return (ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except OSError:
        raise CollectError("own_namespace: this is no pod of a cluster", reason="discovery") from None


@dataclass(frozen=True, kw_only=True)
class KubernetesApi:
    """One cluster. ``server`` empty: the cluster whose pod this is, with the pod's own token and authority."""

    server: str = ""
    token_file: str = ""  #: read anew for every list
    ca_file: str = ""
    certificate: str = ""  #: ours, PEM
    key: str = ""  #: its key; empty: it stands with the certificate
    timeout: float = 30.0  #: seconds for a whole list
    max_bytes: int = 16 << 20  #: of a page

    async def listed(self, kind: str, namespace: str = "", *, label: str = "", field: str = "") -> list[dict[str, Any]]:
        """Every object of a kind, page after page. Raises CollectError with a bounded reason."""
        host, token, authority = self._host(), self._token(), self._authority()
        path = PATHS[kind].format(f"namespaces/{quote(namespace, safe='')}/" if namespace else "")
        given = {"labelSelector": label, "fieldSelector": field, "limit": str(PAGE)}
        asked = {name: text for name, text in given.items() if text}
        await asyncio.to_thread(_load)
        try:
            async with asyncio.timeout(self.timeout + 0.5):  # headers that drip outlive the thread's own check
                return await asyncio.to_thread(self._list, host, path, asked, token, authority)
        except TimeoutError:
            raise CollectError(f"no answer within {self.timeout:g} s", reason="timeout") from None

    def _host(self) -> str:
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        if not self.server and not host:
            raise CollectError("api_server is empty and this is no pod of a cluster", reason="discovery")
        return self.server.rstrip("/") or f"https://{f'[{host}]' if ':' in host else host}:{port}"

    def _token(self) -> str:
        path = self.token_file or ("" if self.server else str(ACCOUNT / "token"))
        return read_token(path) if path else ""

    def _authority(self) -> str:
        path = self.ca_file or ("" if self.server else str(ACCOUNT / "ca.crt"))
        if path and not Path(path).is_file():
            raise CollectError(f"ca_file {path} cannot be used: no such file", reason="discovery")
        return path

    def _list(self, host: str, path: str, asked: Mapping[str, str], token: str, authority: str) -> list[dict[str, Any]]:
        from kubernetes.client import ApiClient

        headers = {"accept": "application/json", **({"authorization": f"Bearer {token}"} if token else {})}
        trust = authority, self.certificate, self.key
        with ApiClient(_settings(host, *trust, _stamps(*trust))) as client:
            return self._pages(client, f"{host}/{path}", asked, headers)

    def _pages(
        self, client: Any, url: str, asked: Mapping[str, str], headers: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        more, ends = "", time.monotonic() + self.timeout
        while True:
            query = urlencode({**asked, **({"continue": more} if more else {})})
            left = max(ends - time.monotonic(), 0.01)
            with _reasons():
                answer = client.call_api("GET", f"{url}?{query}", dict(headers), _request_timeout=(left, left)).response
                status, body = int(answer.status), self._body(answer, ends)
            _check(status)
            said = _object(body)
            items += [item for item in said.get("items") or [] if isinstance(item, dict)]
            about = said.get("metadata")
            more = str(about.get("continue") or "") if isinstance(about, dict) else ""
            if len(items) > MOST:
                raise CollectError(f"Kubernetes names more than {MOST} objects of a kind", reason="too_large")
            if not more:
                return items

    def _body(self, answer: Any, ends: float) -> bytes:
        """The whole answer, if it is neither too large nor too late."""
        body = bytearray()
        try:
            while piece := answer.read1(1 << 16, decode_content=True):
                body += piece
                if len(body) > self.max_bytes:
                    raise CollectError(f"the answer is larger than {self.max_bytes} bytes", reason="too_large")
                if time.monotonic() > ends:
                    raise CollectError(f"no whole answer within {self.timeout:g} s", reason="timeout")
            return bytes(body)
        finally:
            answer.close()


def _stamps(*paths: str) -> tuple[tuple[str, int], ...]:
    """Of the files that are there; another when one was renewed. Raises CollectError for one that is not."""
    try:
        return tuple((path, Path(path).stat().st_mtime_ns) for path in paths if path)
    except OSError as error:
        raise CollectError(f"{error.filename} cannot be used: {error.strerror}", reason="tls") from None


@lru_cache(64)
def _settings(host: str, authority: str, certificate: str, key: str, _of: tuple[tuple[str, int], ...]) -> Any:
    """Of the client. Made once: it looks at the whole environment and at the processors each time."""
    import urllib3
    from kubernetes.client import Configuration

    settings = Configuration(host=host)
    settings.ssl_ca_cert = authority or None
    settings.cert_file, settings.key_file = certificate or None, key or certificate or None
    settings.proxy = None
    settings.connection_pool_maxsize = 1
    settings.retries = urllib3.Retry(total=0, connect=0, read=0, redirect=False, status=0)
    return settings


@contextmanager
def _reasons() -> Iterator[None]:
    """Errors of the client as CollectError; an address is not repeated, it may hold a secret."""
    import urllib3.exceptions as wrong
    from kubernetes.client.exceptions import OpenApiException

    try:
        yield
    except wrong.HTTPError as error:
        cause = error.reason if isinstance(error, wrong.MaxRetryError) and error.reason else error
        reason = next((word for kinds, word in _words(wrong) if isinstance(cause, kinds)), "protocol")
        raise CollectError(f"{type(cause).__name__} while listing", reason=reason) from None
    except OpenApiException as error:
        raise CollectError(f"{type(error).__name__} while listing", reason="protocol") from None


def _words(wrong: Any) -> tuple[tuple[Any, str], ...]:
    return (
        (wrong.SSLError, "tls"),
        ((wrong.ConnectTimeoutError, wrong.ReadTimeoutError), "timeout"),
        ((wrong.NewConnectionError, wrong.NameResolutionError), "connect"),
    )


def _check(status: int) -> None:
    if 300 <= status < 400:
        raise CollectError(f"answered {status}: redirects are not followed", reason="redirect")
    if status != 200:
        raise CollectError(f"answered status {status}", reason="status")


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise CollectError(f"Kubernetes's answer is no JSON: {error}", reason="parse") from None
    if not isinstance(said, dict):
        raise CollectError("Kubernetes's answer is no list of objects", reason="parse")
    return said
