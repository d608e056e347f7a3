"""Reports are passed through with the caller's session, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from support.fake_engine import FakeEngine, application, free_port, serving

from dashboard.app import create
from dashboard.settings import Settings

BASE = "http://127.0.0.1:8050"


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[FakeEngine, str]]:
    engine = FakeEngine()
    engine.add_user("val", "viewer", "en")
    with serving(application(engine), free_port()) as url:
        yield engine, url


@pytest.fixture
async def http(served: tuple[FakeEngine, str]) -> AsyncIterator[httpx2.AsyncClient]:
    app = create(Settings(engine_url=served[1]))
    cookies = {"wk": served[0].sign_in("val")}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE, cookies=cookies) as client:
        yield client


async def test_a_report_comes_with_the_engines_own_strict_policy(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/reports/rep-1.html")
    assert (answer.status_code, answer.text) == (200, "<h1>rep-1.html</h1>")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["rep-1.exe", "..%2fstatus", "rep 1.html", "rep-1.html.csv", "rep-1.html%0a", "x" * 200 + ".csv"]
)
async def test_another_name_is_not_even_asked_for(
    served: tuple[FakeEngine, str], http: httpx2.AsyncClient, name: str
) -> None:
    assert (await http.get(f"/reports/{name}")).status_code == 404
    assert not [call for call in served[0].calls if name in call or call == "GET /api/wk/status"]


async def test_without_the_engine_the_download_says_since_when() -> None:
    engine = FakeEngine()
    engine.add_user("val", "viewer", "en")
    with serving(application(engine), free_port()) as url:
        app = create(Settings(engine_url=url))
        cookies = {"wk": engine.sign_in("val")}
        client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=BASE, cookies=cookies)
        assert (await client.get("/reports/rep-1.html")).status_code == 200
    answer = await client.get("/reports/rep-1.csv")
    assert answer.status_code == 503
    assert "does not answer since" in answer.text
    await client.aclose()
