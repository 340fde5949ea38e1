"""The page logs in at a real OpenID provider, in a real browser."""

import re
import time
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from tests.e2e.axe import violations
from tests.e2e.login_gateway import KEY, LoginGateway, running_login
from tests.e2e.page_driver import record_errors
from tests.javascript import PackagesMissing

pytestmark = pytest.mark.e2e
_KEPT: Final = "[{ ...localStorage }, { ...sessionStorage }, document.cookie]"
_VIEW: Final = "#/?sort=urgent"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginGateway]:
    try:
        with running_login(tmp_path_factory.mktemp("login")) as running:
            yield running
    except PackagesMissing as missing:  # `.ci/run` lists it
        pytest.skip(str(missing))


@pytest.fixture
def gateway(site: LoginGateway) -> Iterator[LoginGateway]:
    yield site
    site.provider.stop()
    site.provider.life_s = 3600
    site.provider.start()


@pytest.fixture
def page(context: BrowserContext, gateway: LoginGateway) -> Page:
    """The worklist, where nobody is logged in."""
    return _open(context, gateway)


def _open(context: BrowserContext, gateway: LoginGateway, address: str = _VIEW) -> Page:
    page = context.new_page()
    page.goto(f"{gateway.url}/{address}")
    return page


def _dialog(page: Page, title: str = "Login required") -> Locator:
    return page.get_by_role("dialog", name=title)


def _log_in(page: Page, name: str = "ann") -> None:
    """Log in as somebody, by keyboard alone."""
    expect(page.get_by_role("button", name=re.compile("Log in|Anmelden"))).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("any")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Continue").click()


def _expect_worklist(page: Page) -> None:
    expect(page.locator(".empty")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_login_leads_back_to_the_view_and_survives_a_reload_and_a_second_tab(
    page: Page, context: BrowserContext, gateway: LoginGateway
) -> None:
    errors = record_errors(page, "http://127.0.0.1:")  # of the page's policy, above all
    _log_in(page)
    _expect_worklist(page)
    assert page.url == f"{gateway.url}/{_VIEW}"
    expect(page.locator("#account")).to_contain_text("Logged in: Dr ann · Roles: submit, read")
    page.reload()
    _expect_worklist(page)
    second = _open(context, gateway)
    _expect_worklist(second)
    expect(second.locator("#account")).to_contain_text("Dr ann")
    for one in (page, second):
        assert one.evaluate(_KEPT) == [{}, {}, ""]
    assert [error for error in errors if "fonts.googleapis.com" not in error] == []  # of the provider's own page
    log = gateway.log.read_text()
    assert not re.search(r"Dr ann|code=|state=|eyJ", log)


def test_tokens_are_renewed_before_they_end_once_for_all_tabs(context: BrowserContext, gateway: LoginGateway) -> None:
    gateway.provider.change(life_s=4)
    refused: list[int] = []
    context.on("response", lambda response: refused.append(response.status) if "/token" in response.url else None)
    page = _open(context, gateway)
    _log_in(page)
    _expect_worklist(page)
    second = _open(context, gateway)
    _expect_worklist(second)
    for _ in range(2):
        with context.expect_event("requestfinished", lambda request: request.url.endswith("/token")):
            pass
    for one in (page, second):
        one.get_by_role("link", name="Worklist", exact=True).click()
        _expect_worklist(one)
    assert set(refused) == {200}  # a refresh token that is used twice is refused


def test_a_login_that_ends_in_mid_work_leads_back_to_the_same_view(page: Page, gateway: LoginGateway) -> None:
    with page.expect_request(lambda request: "authorization" in request.headers) as first:
        _log_in(page)
        _expect_worklist(page)
    _end_token(page, first.value.headers["authorization"])
    gateway.provider.stop()  # with all logins: nothing is renewed
    gateway.provider.start()
    page.evaluate("location.hash = '#/?sort=received'")
    dialog = _dialog(page, "Your login has ended")
    expect(dialog).to_have_count(1)  # of all waiting requests
    assert violations(page) == []
    _log_in(page)
    _expect_worklist(page)
    assert page.url == f"{gateway.url}/#/?sort=received"


def _end_token(page: Page, ended: str) -> None:
    """Answer to a token as the gateway does when its leeway after the end is over."""
    problem = {"title": "An API key or access token is required", "status": 401, "detail": "it has expired"}

    def check(route: Route) -> None:
        if route.request.headers.get("authorization") == ended:
            return route.fulfill(status=401, json=problem, content_type="application/problem+json")
        return route.continue_()

    page.route("**/v1/**", check)


def test_a_log_out_ends_the_login_in_all_tabs_and_at_the_provider(
    page: Page, context: BrowserContext, gateway: LoginGateway
) -> None:
    _log_in(page)
    _expect_worklist(page)
    second = _open(context, gateway)
    _expect_worklist(second)
    page.get_by_role("button", name="Log out").click()
    expect(_dialog(second)).to_be_visible()
    page.get_by_role("button", name="Yes, sign me out").click()
    expect(_dialog(page)).to_be_visible()
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_placeholder("Enter any login")).to_be_visible()  # the provider has forgotten too


@pytest.mark.parametrize("language", ["en", "de"])
def test_failures_of_a_login_are_explained(context: BrowserContext, gateway: LoginGateway, language: str) -> None:
    texts = {
        "en": ("does not belong to this tab's login", "refused: End-User aborted interaction", "does not answer"),
        "de": ("gehört nicht zur Anmeldung", "lehnte ab: End-User aborted interaction", "antwortet nicht"),
    }
    foreign, refused, silent = texts[language]
    page = _open(context, gateway, f"?lang={language}#state=foreign&code=stolen")
    alert = page.get_by_role("dialog").get_by_role("alert")
    expect(alert).to_contain_text(foreign)
    page.goto(f"{gateway.url}/?lang={language}{_VIEW}")
    page.get_by_role("button", name=re.compile("Log in|Anmelden")).click()
    page.get_by_text("[ Cancel ]").click()
    expect(alert).to_contain_text(refused)
    assert page.url == f"{gateway.url}/?lang={language}{_VIEW}"
    assert page.evaluate(_KEPT) == [{}, {}, ""]
    gateway.provider.stop()
    page.get_by_role("button", name=re.compile("Log in|Anmelden")).click()
    expect(alert).to_contain_text(silent)
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(page) == []


def test_a_request_beyond_the_rate_is_repeated_as_late_as_the_gateway_says(page: Page, gateway: LoginGateway) -> None:
    problem = {"title": "This sender sends too many requests", "status": 429, "code": "rate_limited"}
    refused: list[float] = []

    def refuse_once(route: Route) -> None:
        refused.append(time.monotonic())
        if len(refused) > 1:
            return route.continue_()
        return route.fulfill(status=429, json=problem, headers={"retry-after": "2"})

    page.get_by_label("Key", exact=True).fill(KEY)
    page.keyboard.press("Enter")
    _expect_worklist(page)
    page.route("**/v1/worklist?**", refuse_once)
    with page.expect_response(lambda response: "/v1/worklist?" in response.url and response.ok):
        page.goto(f"{gateway.url}/#/?sort=received")
    expect(page.get_by_text("too many requests")).to_have_count(0)
    assert refused[1] - refused[0] >= 2


def test_a_page_behind_a_proxy_asks_for_no_key(page: Page, gateway: LoginGateway) -> None:
    login = {"required": True, "key": False, "oidc": None}
    page.route("**/v1/login", lambda route: route.fulfill(json=login))
    page.goto(f"{gateway.url}/?lang=de")
    expect(page.get_by_role("dialog")).to_contain_text("Der Proxy vor diesem Dienst muss")
    expect(page.get_by_role("dialog").locator("input, button")).to_have_count(0)
    assert violations(page) == []


def test_a_missing_role_is_explained(page: Page) -> None:
    _log_in(page, "bob")
    _expect_worklist(page)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files({"name": "a.dcm", "mimeType": "application/dicom", "buffer": b"no matter"})
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("section.problem")).to_contain_text("Your account may not send")


def test_a_key_is_accepted_beside_the_login(page: Page) -> None:
    page.get_by_label("Key", exact=True).fill(KEY)
    page.keyboard.press("Enter")
    _expect_worklist(page)
    page.get_by_role("button", name="Log out").click()
    expect(_dialog(page)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_the_dialog(browser: Browser, gateway: LoginGateway, scheme: str) -> None:
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page = _open(context, gateway)
    expect(_dialog(page)).to_be_visible()
    assert violations(page) == []
    _log_in(page)
    _expect_worklist(page)
    assert violations(page) == []
    context.close()
