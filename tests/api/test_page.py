"""The live page in a real browser: figures move, a key is asked for, a cut stream shows, and nothing is markup."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.api.conftest import Api
from tests.api.serving import serving
from tests.api.world import START, World, allocation, services

CHROMIUM = Path("/usr/bin/chromium")
XSS = "<img src=x onerror=document.title='owned'>"

needs_browser = pytest.mark.skipif(not CHROMIUM.exists(), reason="server not available: chromium (/usr/bin/chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        started = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context()
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
    yield opened
    context.close()
    assert faults == []


@needs_browser
def test_a_viewer_signs_in_and_sees_figures_arrive(page: Page, url: str, world: World) -> None:
    page.goto(url)
    expect(page.get_by_label("API key")).to_be_visible()
    page.get_by_label("API key").fill("sm_wrong_key")
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("#ask-error")).to_contain_text("unknown, expired or revoked")
    page.get_by_label("API key").fill(world.tokens["reader"])
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("#state-text")).to_have_text("Live")
    expect(page.locator("#check")).to_contain_text("accepted = stored + dead")
    expect(page.locator("#accounts tr").first).to_be_visible()
    expect(page.locator("#lines tr").first).to_be_visible()
    expect(page.locator("#total")).to_contain_text("CU")
    assert world.tokens["reader"] not in page.url
    page.reload()
    expect(page.locator("#state-text")).to_have_text("Live")


@needs_browser
def test_a_tenant_sees_its_own_costs_and_no_pipeline(page: Page, url: str, world: World) -> None:
    page.goto(url)
    page.get_by_label("API key").fill(world.tokens["acme"])
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("#accounts tr").first).to_be_visible()
    expect(page.locator("#rate")).to_be_hidden()
    assert "zzmarker" not in page.content()


@needs_browser
def test_names_are_text_and_never_markup(page: Page, world: World, api: Api) -> None:
    admin = api("admin")
    admin.put("/v1/accounts/odd", json={"name": XSS}).raise_for_status()
    admin.post("/v1/mapping-rules", json={"account": "odd", "tenant": "odd-org"}).raise_for_status()
    world.write(allocation(f"vm/{XSS}", "odd-org", "vm.vcpu", 300, 900, "{}", days=1))
    world.rate("odd", START, START + 86_400)
    with serving(services(world, dev=True, viewer_key=world.tokens["reader"])) as base:
        page.goto(base)
        expect(page.locator("#accounts")).to_contain_text(XSS)
        expect(page.locator("#lines")).to_contain_text(XSS)
        assert page.title() == "Stratometer · live"
        assert page.locator("main img").count() == 0


@needs_browser
def test_a_cut_stream_shows_and_heals(page: Page, world: World) -> None:
    with serving(services(world, dev=True, viewer_key=world.tokens["reader"])) as base:
        page.goto(base)
        expect(page.locator("#state-text")).to_have_text("Live")
        page.context.set_offline(True)
        page.evaluate("current.abort('test')")
        expect(page.locator("#state")).to_have_class("state cut", timeout=10_000)
        page.context.set_offline(False)
        expect(page.locator("#state-text")).to_have_text("Live", timeout=20_000)
    expect(page.locator("#state")).to_have_class("state cut", timeout=15_000)


@needs_browser
@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_sticks_out_sideways(page: Page, world: World, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    with serving(services(world, dev=True, viewer_key=world.tokens["reader"])) as base:
        page.goto(base)
        expect(page.locator("#lines tr").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_page_has_a_strict_policy_and_no_key_of_its_own(url: str, world: World) -> None:
    answer = httpx.get(url)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert 'name="viewer-key" content=""' in answer.text
    assert "http://" not in answer.text.replace(url, "")
    assert httpx.get(f"{url}/static/../app.py").status_code == 404
    assert httpx.get(f"{url}/static/live.html").status_code == 404
    assert httpx.get(f"{url}/static/live.js").headers["content-type"].startswith("text/javascript")


def test_a_viewer_key_needs_dev(world: World) -> None:
    with pytest.raises(ValueError, match="dev"):
        services(world, viewer_key="sm_1_2")
