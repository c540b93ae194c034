"""The emulator's pages in a real Chromium: by keyboard, for screen readers, on a phone, in the dark."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from codat_iac.emulator import Emulator, serving
from tests.api.emulator.test_pages import HOSTILE
from tests.support.browser import FLAGS, NoBrowserError, chromium

MOST_TABS = 150
"""How often a person may press Tab until a test gives up."""

COLOURFUL = ("company", "requests", "the customer's link")
"""The pages that together have every colour."""

FOCUSED = "document.activeElement"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests here."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def demo() -> Iterator[Emulator]:
    """A tenant as it might be."""
    with serving(demo=True, companies=40, seed=1) as emulator:
        yield emulator


@pytest.fixture
def page(browser: Browser, demo: Emulator) -> Iterator[Page]:
    """A page on which nothing may go wrong but what is refused, and nothing may be loaded from elsewhere."""
    wrong: list[str] = []
    context = browser.new_context()
    opened = context.new_page()
    opened.on(
        "console",
        lambda message: wrong.extend([] if "status of 400" in message.text else [message.text]),
    )
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("dialog", lambda dialog: wrong.append(dialog.message))
    opened.on(
        "request",
        lambda request: wrong.extend([] if request.url.startswith((demo.url, "data:,")) else [request.url]),
    )
    yield opened
    context.close()
    assert wrong == []


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what has the name of a button, a link or a field has the focus, which must be seen."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            f"[{FOCUSED}.labels?.[0]?.textContent ?? {FOCUSED}.textContent ?? '',"
            f" getComputedStyle({FOCUSED}).outlineStyle]"
        )
        if " ".join(focused[0].split()).startswith(name):
            assert focused[1] != "none", f"the focus on {name} can't be seen"
            return
    raise AssertionError(f"{name} can't be reached with the keyboard")


def press(page: Page, name: str, key: str = "Enter") -> None:
    """Press a button or follow a link with the keyboard, and wait for the page that it leads to."""
    tab_to(page, name)
    with page.expect_navigation():
        page.keyboard.press(key)


def said(page: Page) -> str:
    """What the page says happened. It has the focus, so a screen reader reads it at once."""
    role, text = page.evaluate(f"[{FOCUSED}.role, {FOCUSED}.innerText]")
    assert role == ("alert" if text.startswith("Not done.") else "status")
    return str(text)


def pages_of(demo: Emulator) -> dict[str, str]:
    """The path of each page, with something on it."""
    demo.faults([{"on": "GET /nothing", "do": "delay", "times": 1}])
    company = next(
        each for each in demo._world.tenants["main"].companies.values() if len(each.connections) > 2
    )
    demo.change_company(company.id, name=HOSTILE, tags={"customerId": "1", "note": HOSTILE[:100]})
    demo.live(5)
    waiting = demo.connect(company.id, "suuo", "PendingAuth")
    customer = waiting["linkUrl"].removeprefix(demo.url)
    pages = "/_emulator/pages"
    return {
        "companies": "/",
        "nothing found": "/?q=nobody&status=Linked",
        "company": f"{pages}/company/{company.id}?done=connect",
        "requests": f"{pages}/requests",
        "faults": f"{pages}/faults",
        "knobs": f"{pages}/knobs",
        "live": f"{pages}/live?done=live",
        "routes": f"{pages}/routes",
        "the customer's link": customer,
    }


@pytest.mark.slow
def test_every_page_is_for_everybody(demo: Emulator, page: Page) -> None:
    """Axe finds nothing to complain about, also in the dark; on a phone, nobody has to scroll sideways."""
    list_companies(demo)
    for name, path in pages_of(demo).items():
        page.set_viewport_size({"width": 1280, "height": 800})
        page.emulate_media(color_scheme="light")
        page.goto(demo.url + path)
        assert complaints(page) == [], name
        if name in COLOURFUL:
            page.emulate_media(color_scheme="dark")
            assert complaints(page, {"runOnly": ["color-contrast"]}) == [], name
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, name


def complaints(page: Page, options: dict[str, Any] | None = None) -> list[Any]:
    """What axe has to complain about: rule and elements."""
    violations = Axe().run(page, options=options).response["violations"]
    return [(each["id"], node["target"]) for each in violations for node in each["nodes"]]


def list_companies(demo: Emulator) -> None:
    """Make entries in the log: one that is answered and one that isn't."""
    import requests  # noqa: PLC0415

    for key in (demo.authorization, "Basic wrong"):
        requests.get(f"{demo.url}/companies", headers={"Authorization": key}, timeout=10)


def test_axe_would_see_what_is_wrong(page: Page) -> None:
    """A check that finds nothing on a wrong page proves nothing."""
    page.set_content("<main><h1>A</h1><input><button style='color:#ccc;background:#fff'>Grey</button></main>")

    found = {rule for rule, _ in complaints(page)}

    assert {"html-has-lang", "label", "color-contrast"} <= found
    assert {rule for rule, _ in complaints(page, {"runOnly": ["color-contrast"]})} == {"color-contrast"}


def test_a_connection_lives_its_life_by_keyboard(demo: Emulator, page: Page) -> None:
    """Search, open, connect, revoke, reconnect, unlink, delete: without a mouse, and each is told."""
    company = demo.add_company("Zebra Crossing")["id"]
    page.goto(demo.url)
    page.keyboard.press("Tab")
    assert page.evaluate(f"{FOCUSED}.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate(f"{FOCUSED}.tagName") == "MAIN"

    tab_to(page, "Search")
    page.keyboard.type("zebra")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert page.locator("tbody tr").count() == 1
    press(page, "Zebra Crossing")
    tab_to(page, "Platform")
    page.keyboard.type("Xero")
    press(page, "Connect")
    assert said(page) == "Done. The company has connected a platform."
    [made] = demo.connections(company)
    assert (made["platformKey"], made["status"]) == ("gbol", "Linked")

    for button, status, told in [
        ("Revoke access: Xero", "Deauthorized", "revoked access at the platform"),
        ("Reconnect: Xero", "Linked", "authorised the connection"),
        ("Unlink: Xero", "Unlinked", "Unlinked"),
        ("Try to authorise, and fail: Xero", "Unlinked", "attempt has failed"),
    ]:
        press(page, button, "Space" if status == "Linked" else "Enter")
        assert told in said(page)
        assert page.title() == "Done: Zebra Crossing · Codat emulator"
        assert demo.connections(company)[0]["status"] == status
        assert page.locator("section .status").inner_text().endswith(status)
    page.reload()
    assert len(demo.connections(company)) == 1

    tab_to(page, "Delete: Xero")
    page.keyboard.press("Enter")
    press(page, "Yes, delete it in the Portal: Xero")
    assert said(page) == "Done. The connection is deleted."
    assert demo.connections(company) == []


def test_the_customer_authorises_by_keyboard(demo: Emulator, page: Page) -> None:
    """On the page of the link, which the company's page leads to."""
    company = demo.add_company("Zebra Crossing")["id"]
    demo.connect(company, "suuo", "PendingAuth")
    page.goto(f"{demo.url}/_emulator/pages/company/{company}")

    press(page, "The link that its customer gets: Plaid")
    press(page, "Authorise")

    assert page.locator("h1").inner_text() == "Plaid is connected"
    assert demo.connections(company)[0]["status"] == "Linked"


def test_faults_knobs_and_the_log_by_keyboard(demo: Emulator, page: Page) -> None:
    """Set a fault and switch it off; turn a knob, after a mistake that stays to be mended; read the log."""
    page.goto(demo.url)
    press(page, "Faults")
    tab_to(page, "Status")
    page.keyboard.type("503")
    tab_to(page, "How many times")
    page.keyboard.type("2")
    press(page, "Add")
    assert said(page) == "Done. The fault is in force."
    [fault] = demo.faults()
    assert (fault["on"], fault["status"], fault["times"]) == ("POST /companies/*/connections", 503, 2)
    press(page, "Switch off: POST /companies/*/connections status")
    assert demo.faults() == []

    press(page, "Knobs")
    tab_to(page, "pageSizeMost")
    page.keyboard.press("Control+A")
    page.keyboard.type("many")
    press(page, "Set the knobs")
    assert "Not done. pageSizeMost can't be 'many'" in said(page)
    assert page.get_by_label("pageSizeMost").input_value() == "many"
    tab_to(page, "pageSizeMost")
    page.keyboard.press("Control+A")
    page.keyboard.type("7")
    press(page, "Set the knobs")
    assert said(page) == "Done. The knobs are set."
    assert demo.knobs()["pageSizeMost"] == 7

    list_companies(demo)
    press(page, "Requests")
    assert [row.split()[0] for row in page.locator("tbody tr").all_inner_texts()] == ["2", "1"]
    tab_to(page, "Show")
    page.keyboard.type("what")
    press(page, "Search")
    assert "401" in page.locator("tbody tr").inner_text()
    press(page, "Clear the log")
    assert demo.requests()["total"] == 0


def test_another_site_can_neither_press_a_button_nor_look(browser: Browser, demo: Emulator) -> None:
    """A form of another page is refused, and so is its name that points to this machine."""
    company = demo.add_company("Target")["id"]
    port = demo.url.rpartition(":")[2]
    page = browser.new_page()
    for path, fields in [
        (f"/_emulator/pages/company/{company}", '<input name="action" value="close">'),
        (f"/_emulator/companies/{company}/connections", ""),
        ("/_emulator/reset", ""),
    ]:
        page.goto(
            f"data:text/html,<form method=post action='{demo.url}{path}'>{fields}<button>Win</button></form>"
        )
        with page.expect_navigation():
            page.get_by_role("button").click()
        assert "another site" in page.inner_text("body")
    answer = page.goto(f"http://rebound.test:{port}/")
    page.close()

    assert answer is not None
    assert answer.status == 403
    assert "Target" in {each.name for each in demo._world.tenants["main"].companies.values()}
    assert demo.connections(company) == []


def test_without_a_browser_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of passing over the tests; and what CHROMIUM names is taken."""
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(NoBrowserError, match="apt-get install chromium"):
        chromium(lambda _: None)
    assert chromium(lambda name: f"/bin/{name}" if name == "google-chrome" else None) == "/bin/google-chrome"
    monkeypatch.setenv("CHROMIUM", "/opt/chromium")
    assert chromium(lambda _: None) == "/opt/chromium"
