"""The dashboard in a real browser: what people do on it, and what must never happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, expect
from support import fake_detection
from support.browser import Watched, chromium, watched
from support.fake_engine import PASSWORD, SECRET, FakeEngine, application, free_port, serving

from dashboard.app import Dashboard, create
from dashboard.pages import BUILTIN
from dashboard.settings import Settings

pytestmark = pytest.mark.browser

REFRESH_SECONDS = 1.0


@dataclass
class House:
    """An engine that can be stopped, the dashboard before it, and a browser."""

    engine: FakeEngine
    engine_port: int
    app: Dashboard
    url: str
    browser: Browser


@pytest.fixture(scope="module")
def dashboard() -> Iterator[tuple[Dashboard, str, int]]:
    port, engine_port = free_port(), free_port()
    settings = Settings(
        engine_url=f"http://127.0.0.1:{engine_port}", listen=f"127.0.0.1:{port}", refresh_seconds=REFRESH_SECONDS
    )
    app = create(settings)
    with serving(app, port) as url:
        yield app, url, engine_port


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def house(dashboard: tuple[Dashboard, str, int], browser: Browser) -> Iterator[House]:
    app, url, port = dashboard
    engine = FakeEngine()
    engine.sessions = {}
    engine.add_user("ada", "admin", "en")
    with serving(application(engine), port):
        yield House(engine, port, app, url, browser)


@pytest.fixture
def visitor(house: House) -> Iterator[Watched]:
    with watched(house.browser, house.url) as found:
        yield found


def check(seen: Watched) -> None:
    """Nothing broke, nothing was refused by policy, nothing left the host, no payload ran."""
    assert seen.errors == []
    assert seen.foreign == []
    assert seen.page.evaluate("window.pwned") is None


def test_the_first_account_is_made_and_signs_in(house: House, visitor: Watched) -> None:
    house.engine.users.clear()
    visitor.goto("/")
    visitor.page.wait_for_url("**/setup")
    for field, value in (("secret", SECRET), ("name", "grace"), ("password", PASSWORD), ("again", PASSWORD)):
        visitor.page.fill(f"#{field}", value)
    visitor.page.click("button.main")
    visitor.see("The account is ready. Please sign in.")
    visitor.page.fill("#name", "grace")
    visitor.page.fill("#password", PASSWORD)
    visitor.page.click("button.main")
    visitor.page.wait_for_selector(".wk-tile")
    check(visitor)


def test_a_wrong_password_lets_nobody_in_and_says_how_long_to_wait(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", "wrong")
    visitor.see("User name or password is wrong.")
    house.engine.failures = 3
    visitor.page.fill("#password", "wrong again")
    visitor.page.click("button.main")
    visitor.see("Please wait 30 s")
    visitor.goto("/rules")
    visitor.page.wait_for_url("**/login?next=%2Frules")


@pytest.mark.parametrize(("language", "theme", "width"), [("zh-CN", "dark", 1280), ("en", "light", 390)])
def test_a_tour_of_all_pages(house: House, language: str, theme: str, width: int) -> None:
    house.engine.users["ada"]["language"] = language
    with watched(house.browser, house.url, width=width) as seen:
        seen.page.context.add_cookies([{"name": "wk-theme", "value": theme, "url": house.url}])
        seen.sign_in("ada", PASSWORD)
        seen.page.wait_for_selector(".wk-tile")
        scheme = seen.page.evaluate("document.documentElement.dataset.mantineColorScheme")
        assert scheme == theme
        for page in BUILTIN:
            if width > 600:
                seen.page.click(f"#nav-{page.key}")
            else:
                seen.goto(page.path)
            expect(seen.page.locator(".wk-page h2")).to_have_text(TITLES[language][page.key], timeout=15_000)
            expect(seen.page.locator(".wk-nav[aria-current=page]")).to_have_id(f"nav-{page.key}")
            if page.key != "settings":
                seen.page.wait_for_selector(".wk-as-of", timeout=15_000)
            too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert seen.page.evaluate(too_wide) <= 1, f"{page.key} scrolls sideways"
        seen.goto("/incidents/inc-2")
        seen.page.wait_for_selector(".wk-as-of")
        expect(seen.page.locator(".wk-nav[aria-current=page]")).to_have_id("nav-incidents")
        seen.goto("/explore?expr=up")
        seen.page.wait_for_selector(".js-plotly-plot .scatterlayer")
        check(seen)


def test_reasons_of_a_risk_are_lines_of_some_words_on_a_phone(house: House) -> None:
    with watched(house.browser, house.url, width=390) as seen:
        seen.sign_in("ada", PASSWORD)
        seen.page.wait_for_selector(".wk-tile")
        seen.goto("/risks")
        seen.page.wait_for_selector(".wk-said")
        narrowest = "Math.min(...[...document.querySelectorAll('.wk-said')].map(one => one.offsetWidth))"
        assert seen.page.evaluate(narrowest) >= 220
        check(seen)


def test_the_tables_of_a_service_are_seen_whole(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.page.wait_for_selector(".wk-tile")
    visitor.goto("/services/checkout")
    visitor.see("kube_horizontalpodautoscaler_status_target_metric_utilization")
    cut_off = "[...document.querySelectorAll('.wk-sideways')].map(one => one.scrollWidth - one.clientWidth)"
    assert max(visitor.page.evaluate(cut_off)) <= 1
    links = "[...document.querySelectorAll('.wk-page a')].map(one => getComputedStyle(one).color)"
    colours = set(visitor.page.evaluate(links))
    assert colours
    assert not colours & {"rgb(0, 0, 238)", "rgb(85, 26, 139)"}, "no link has the browser's own colour"
    check(visitor)


TITLES = {
    "zh-CN": {
        "overview": "总览", "explore": "探索", "logs": "日志", "services": "服务", "incidents": "事件",
        "changes": "变更",
        "actions": "动作", "dual_links": "双链路", "scaling": "伸缩", "plans": "应急预案",
        "safety": "安全", "audit": "审计",
        "risks": "行为风险", "detection": "检测", "capacity": "容量",
        "predictions": "业务预测", "business": "业务指标", "cost": "成本", "sla": "服务等级（SLA）",
        "reports": "报告", "collectors": "采集器", "rules": "规则", "settings": "设置", "about": "状态",
    },
    "en": {
        "overview": "Overview", "explore": "Explore", "logs": "Logs", "services": "Services", "incidents": "Incidents",
        "changes": "Changes",
        "actions": "Actions", "dual_links": "Dual links", "scaling": "Scaling", "plans": "Plans",
        "safety": "Safety", "audit": "Audit",
        "risks": "Risks", "detection": "Detection",
        "predictions": "Predictions", "business": "Business", "cost": "Cost", "sla": "Service levels",
        "capacity": "Capacity", "reports": "Reports", "collectors": "Collectors", "rules": "Rules",
        "settings": "Settings", "about": "Status",
    },
}  # fmt: skip


def test_language_and_theme_switch_and_are_remembered(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.see("Overview")
    visitor.page.click("#theme-button")
    expect(visitor.page.locator("html[data-mantine-color-scheme=dark]")).to_be_attached()
    visitor.page.get_by_text("中文", exact=True).click()
    visitor.see("总览")
    assert house.engine.users["ada"]["language"] == "zh-CN"
    visitor.goto("/about")
    visitor.see("引擎")
    assert visitor.page.evaluate("document.documentElement.dataset.mantineColorScheme") == "dark"
    check(visitor)


def test_a_list_is_searched_and_put_in_order_without_asking_anybody(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.goto("/incidents?state=all")
    rows = visitor.page.locator(".wk-list tbody tr")
    expect(rows).to_have_count(3)
    visitor.page.click(".wk-sort:has-text('Severity')")
    expect(rows.first).to_contain_text("P0")
    visitor.page.click(".wk-sort:has-text('Severity')")
    expect(rows.first).to_contain_text("P3")
    visitor.page.fill(".wk-search", "SLOW checkout")
    expect(rows).to_have_count(1)
    visitor.page.wait_for_timeout(REFRESH_SECONDS * 2500)  # rows come again: what was typed stays
    expect(rows).to_have_count(1)
    visitor.page.fill(".wk-search", "no such thing")
    visitor.see("Nothing here matches the search.")
    check(visitor)


def test_an_incident_is_opened_from_the_list_and_acknowledged(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.goto("/incidents")
    visitor.page.evaluate("window.sameDocument = true")
    visitor.page.get_by_role("link", name="checkout is slow").click()
    visitor.page.wait_for_url("**/incidents/inc-1")
    assert visitor.page.evaluate("window.sameDocument")
    visitor.page.fill("#incident-note", "looking at it")
    visitor.page.click("#incident-acknowledge")
    visitor.see("The escalation clock has stopped.")
    visitor.see("acknowledged: looking at it")
    assert house.engine.incident_state == "acknowledged"
    visitor.page.click("#incident-acknowledge")
    visitor.see("It has changed meanwhile")
    check(visitor)


def test_a_plan_is_approved_and_a_reason_survives_the_refresh(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.goto("/actions")
    reason = visitor.page.get_by_placeholder("Reason for your decision")
    reason.fill("seen it, agree")
    stamp = visitor.page.locator(".wk-as-of").get_attribute("data-at")
    expect(visitor.page.locator(".wk-as-of")).not_to_have_attribute("data-at", str(stamp))
    expect(reason).to_have_value("seen it, agree")
    visitor.page.get_by_role("button", name="Approve", exact=True).click()
    visitor.see("Every gate is checked again")
    assert house.engine.action_state == "executing"
    visitor.see("Nothing waits for approval")
    check(visitor)


def test_the_kill_switch_needs_a_reason_and_is_seen_everywhere(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.goto("/actions")
    visitor.page.click("#actions-switch-on")
    visitor.see("Please give a reason")
    assert house.engine.kill["on"] is False
    visitor.page.fill("#actions-switch-reason", "storm")
    visitor.page.click("#actions-switch-on")
    visitor.see("The kill switch is set.")
    visitor.goto("/")
    visitor.see("Set: nothing is changed")
    visitor.goto("/actions")
    visitor.page.fill("#actions-switch-reason", "over")
    visitor.page.click("#actions-switch-off")
    visitor.see("The kill switch is cleared.")
    assert house.engine.kill["on"] is False
    check(visitor)


def test_a_link_is_pinned_by_hand_and_let_go(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.goto("/links")
    visitor.page.get_by_role("button", name="Pin to the backup").click()
    visitor.see("Please give a reason")
    assert house.engine.pin is None
    visitor.page.get_by_label("Reason for maps").fill("contract")
    visitor.page.get_by_role("button", name="Pin to the backup").click()
    visitor.see("to the backup by ada: contract")
    visitor.page.get_by_role("button", name="Let it go").click()
    visitor.see("Let go: it switches by its rule again.")
    assert house.engine.pin is None
    check(visitor)


def test_the_audit_is_searched_turned_over_verified_and_taken_away(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.goto("/audit")
    visitor.see("Chain intact")
    rows = visitor.page.locator("#audit-body tbody tr")
    expect(rows).to_have_count(1)
    visitor.page.get_by_role("button", name="Older rows").click()
    expect(rows).to_have_count(2)
    visitor.page.get_by_label("Who").fill("bob")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("Link pinned")
    visitor.page.get_by_role("button", name="Read every row now").click()
    visitor.see("7 rows read: the chain holds.")
    with visitor.page.expect_download() as download:
        visitor.page.get_by_role("link", name="Export").click()
    assert download.value.suggested_filename.endswith(".jsonl")
    check(visitor)


def test_scaling_is_frozen_by_the_switch_of_the_page_safety_and_a_tuning_is_recorded(
    house: House, visitor: Watched
) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.goto("/safety")
    visitor.page.fill("#safety-switch-reason", "storm")
    visitor.page.click("#safety-switch-on")
    visitor.see("The kill switch is set.")
    visitor.goto("/scaling")
    visitor.see("Frozen")
    visitor.see("load 300, 40 each: 8 needed")
    visitor.see("Jobs wait long")
    visitor.page.get_by_role("button", name="Record", exact=True).click()
    visitor.see("Choose the advice and say what was done.")
    visitor.page.get_by_label("Advice that was followed").first.click()
    visitor.page.get_by_role("option").first.click()
    visitor.page.get_by_label("What was done").fill("four workers more")
    visitor.page.get_by_role("button", name="Record", exact=True).click()
    visitor.see("Recorded: it is measured from now on.")
    visitor.see("four workers more")
    check(visitor)


def test_a_viewer_cannot_press_what_he_may_not(house: House, visitor: Watched) -> None:
    house.engine.add_user("val", "viewer", "en")
    visitor.sign_in("val", PASSWORD)
    visitor.goto("/actions")
    visitor.see("Waiting for your decision")
    for name in ("Approve", "Reject", "Stop all actions", "Allow actions again"):
        expect(visitor.page.get_by_role("button", name=name, exact=True)).to_be_disabled()
    visitor.goto("/links")
    expect(visitor.page.get_by_role("button", name="Pin to the backup")).to_be_disabled()
    check(visitor)


def test_old_data_is_marked_stale_and_a_dead_engine_is_named(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.page.wait_for_selector(".wk-tile-cpu_usage")
    assert visitor.page.locator(".wk-stale").count() == 0
    house.engine.stale.add("cpu_usage")
    expect(visitor.page.locator(".wk-stale.wk-tile-cpu_usage")).to_contain_text("Stale: last sample", timeout=10_000)


def test_a_dead_engine_leaves_no_old_value_on_the_screen(
    dashboard: tuple[Dashboard, str, int], browser: Browser
) -> None:
    _, url, port = dashboard
    engine = FakeEngine()
    engine.add_user("eve", "admin", "en")
    with watched(browser, url) as seen:
        with serving(application(engine), port):
            seen.sign_in("eve", PASSWORD)
            seen.page.wait_for_selector(".wk-value")
        since = datetime.now(UTC)
        seen.see("The engine does not answer since", timeout=10_000)
        assert (datetime.now(UTC) - since).total_seconds() < 10
        assert seen.page.locator(".wk-value").count() == 0
        for path in ("/incidents", "/collectors", "/capacity"):
            seen.goto(path)
            seen.see("The engine does not answer since")
            assert seen.page.locator(".wk-list").count() == 0
        with serving(application(engine), port):
            seen.goto("/")
            seen.page.wait_for_selector(".wk-value")


def test_a_dead_dashboard_greys_out_what_it_showed(browser: Browser) -> None:
    engine, engine_port, port = FakeEngine(), free_port(), free_port()
    engine.add_user("ada", "admin", "en")
    settings = Settings(engine_url=f"http://127.0.0.1:{engine_port}", listen=f"127.0.0.1:{port}", refresh_seconds=1)
    with serving(application(engine), engine_port), watched(browser, f"http://127.0.0.1:{port}") as seen:
        with serving(create(settings), port):
            seen.sign_in("ada", PASSWORD)
            seen.page.wait_for_selector(".wk-value")
            assert not seen.page.locator("#wk-frozen").is_visible()
        expect(seen.page.locator("#wk-frozen")).to_be_visible(timeout=12_000)


def test_an_ended_session_leads_to_the_form(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.page.wait_for_selector(".wk-tile")
    house.engine.sessions.clear()
    visitor.page.wait_for_url("**/login**", timeout=10_000)


def test_an_injected_script_does_not_run(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.page.wait_for_selector(".wk-tile")
    visitor.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.pwned = 1';"
        " document.body.appendChild(s); }"
    )
    assert visitor.page.evaluate("window.pwned") is None
    assert any("Content Security Policy" in error for error in visitor.errors)


def test_alarms_that_are_being_read_stay_unfolded_when_the_page_is_drawn_anew(
    house: House, visitor: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = fake_detection.alarms(datetime.now(UTC), "cpu_usage")
    found["alarms"] = [{**found["alarms"][1], "id": f"anomaly-{number}"} for number in range(3)]
    monkeypatch.setattr(fake_detection, "alarms", lambda *_: found)
    visitor.sign_in("ada", PASSWORD)
    visitor.goto("/detection")
    folded, news = visitor.page.locator("details[data-fold^='alarms ']"), visitor.page.locator(".wk-as-of").first

    def drawn_anew() -> None:
        before = news.get_attribute("data-at") or ""
        expect(news).not_to_have_attribute("data-at", before, timeout=15_000)

    for unfolded in (True, False):
        folded.locator("summary").click()
        drawn_anew()
        drawn_anew()
        assert folded.evaluate("part => part.open") is unfolded
    check(visitor)


FOREIGN_MARKUP = "img[src='x'], a[href^='javascript' i], a[href^='data' i], iframe, [onerror], [onload]"


def test_names_and_texts_chosen_by_an_attacker_stay_text_on_every_page(house: House, visitor: Watched) -> None:
    house.engine.hostile = True
    visitor.sign_in("ada", PASSWORD)
    shown = 0
    for path in (*(page.path for page in BUILTIN if page.key != "settings"), "/incidents/inc-1"):
        visitor.goto(path)
        visitor.page.wait_for_selector(".wk-as-of, .wk-body .wk-card", timeout=15_000)
        if path.startswith(("/explore", "/capacity", "/cost")):
            visitor.page.wait_for_selector(".js-plotly-plot .main-svg", timeout=15_000)
        assert visitor.page.locator(FOREIGN_MARKUP).count() == 0, path
        shown += "javascript:window.pwned" in visitor.page.locator("#page").inner_text()
        check(visitor)
    assert shown >= 8


def test_reports_are_made_and_read(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.goto("/reports")
    visitor.page.click("#reports-make")
    visitor.see("The report is ready.")
    expect(visitor.page.get_by_role("link", name="HTML")).to_have_attribute("href", "/reports/rep-1.html")
    visitor.goto("/capacity")
    with visitor.page.expect_download() as download:
        visitor.page.click("#capacity-csv")
    assert download.value.suggested_filename.endswith(".csv")
    check(visitor)


def test_signing_out_ends_the_session(house: House, visitor: Watched) -> None:
    visitor.sign_in("ada", PASSWORD)
    visitor.page.click("#logout")
    visitor.page.wait_for_url("**/login**")  # an answer under way may find the session over first, and reload
    assert house.engine.sessions == {}
    visitor.goto("/")
    visitor.page.wait_for_url("**/login**")
