"""What the customer sees in a browser."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
import requests

from codat_iac.emulator import Emulator

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> & {{7*7}} {% raise %}"


@pytest.fixture
def company(emulator: Emulator) -> Any:
    """A company whose name attacks the page."""
    return emulator.add_company(HOSTILE)


@pytest.fixture
def waiting(emulator: Emulator, company: Any) -> Any:
    """A connection that its customer has yet to authorise."""
    return emulator.connect(company["id"], "gbol", "PendingAuth")


def status_of(emulator: Emulator, connection: Any, company: Any) -> str:
    """What Codat says of it now."""
    return str(read(emulator, f"/companies/{company['id']}/connections/{connection['id']}")["status"])


def read(emulator: Emulator, path: str) -> Any:
    """Codat's answer to a GET."""
    return requests.get(
        emulator.url + path, headers={"Authorization": emulator.authorization}, timeout=10
    ).json()


def press(url: str, page: requests.Response, **fields: str) -> requests.Response:
    """Send the page's form with its hidden fields, as a browser would."""
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
    return requests.post(url, data={**hidden, **fields}, timeout=10)


def safe(page: requests.Response) -> bool:
    """Whether the name stands there as text, and nothing may run anyway."""
    policy = page.headers["Content-Security-Policy"]
    return (
        html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page.text
        and "<script" not in page.text
        and "default-src 'none'" in policy
        and page.headers["Referrer-Policy"] == "no-referrer"
        and page.headers["Cache-Control"] == "no-store"
    )


def test_the_button_authorises(emulator: Emulator, company: Any, waiting: Any) -> None:
    """The page names company and platform; looking spends nothing; the button links for real."""
    for _ in range(2):
        page = requests.get(waiting["linkUrl"], timeout=10)
        assert page.status_code == 200
        assert safe(page)
        assert "Connect Xero" in page.text
        assert status_of(emulator, waiting, company) == "PendingAuth"

    done = press(waiting["linkUrl"], page, action="authorise")

    assert (done.status_code, "Xero is connected" in done.text, safe(done)) == (200, True, True)
    assert status_of(emulator, waiting, company) == "Linked"


def test_cancelling_leaves_an_error(emulator: Emulator, company: Any, waiting: Any) -> None:
    """As Codat's `connection.failed` has it."""
    page = requests.get(waiting["linkUrl"], timeout=10)

    done = press(waiting["linkUrl"], page, action="cancel")

    assert "Cancelled" in done.text
    assert status_of(emulator, waiting, company) == "PendingAuth"
    path = f"/companies/{company['id']}/connections/{waiting['id']}"
    assert (
        read(emulator, path)["dataConnectionErrors"][0]["errorMessage"] == "The authorization was cancelled."
    )


@pytest.mark.parametrize("how", ["fixed", "rotating"])
def test_a_link_works_once(emulator: Emulator, company: Any, waiting: Any, how: str) -> None:
    """Used, it says so and does nothing; the next read has a new one, for another go."""
    emulator.knobs({"linkUrlOtp": how})
    path = f"/companies/{company['id']}/connections/{waiting['id']}"
    link = read(emulator, path)["linkUrl"]
    page = requests.get(link, timeout=10)
    press(link, page, action="authorise")
    emulator.revoke(waiting["id"])

    for used in (requests.get(link, timeout=10), press(link, page, action="authorise")):
        assert (used.status_code, "This link was used" in used.text) == (410, True)
    assert status_of(emulator, waiting, company) == "Deauthorized"

    link = read(emulator, path)["linkUrl"]
    assert press(link, requests.get(link, timeout=10), action="authorise").status_code == 200
    assert status_of(emulator, waiting, company) == "Linked"


@pytest.mark.parametrize(("platform", "lasting"), [("gbol", 86_400), ("hcws", 3_600)])
def test_a_link_expires(emulator: Emulator, company: Any, platform: str, lasting: int) -> None:
    """After a day; that of QuickBooks Online Bank Feeds after an hour. A new read has a fresh one."""
    waiting = emulator.connect(company["id"], platform, "PendingAuth")
    emulator.knobs({"clockAheadSeconds": lasting - 60})
    assert requests.get(waiting["linkUrl"], timeout=10).status_code == 200
    emulator.knobs({"clockAheadSeconds": lasting + 1})

    expired = requests.get(waiting["linkUrl"], timeout=10)

    assert (expired.status_code, "no longer works" in expired.text) == (410, True)
    path = f"/companies/{company['id']}/connections/{waiting['id']}"
    assert requests.get(read(emulator, path)["linkUrl"], timeout=10).status_code == 200


@pytest.mark.parametrize("otp", ["", "zzz", "0" * 42, "00000000ff" + "0" * 32, "é"])
def test_a_made_up_password_opens_nothing(emulator: Emulator, company: Any, waiting: Any, otp: str) -> None:
    """Nor does that of another connection."""
    page = waiting["linkUrl"].partition("?")[0]
    other = emulator.connect(company["id"], "suuo", "PendingAuth")["linkUrl"].partition("?otp=")[2]

    assert requests.get(page, params={"otp": otp}, timeout=10).status_code == 410
    assert requests.get(page, params={"otp": other}, timeout=10).status_code == 410
    assert requests.post(page, data={"otp": otp, "action": "authorise"}, timeout=10).status_code == 410
    assert status_of(emulator, waiting, company) == "PendingAuth"


def test_without_passwords_a_link_always_works(emulator: Emulator, company: Any, waiting: Any) -> None:
    """As for a client who hasn't asked Codat for one-time links."""
    emulator.knobs({"linkUrlOtp": "off"})
    link = waiting["linkUrl"].partition("?")[0]

    for _ in range(2):
        assert press(link, requests.get(link, timeout=10), action="authorise").status_code == 200
    assert status_of(emulator, waiting, company) == "Linked"


def test_the_link_of_a_deleted_connection_says_so(emulator: Emulator, company: Any, waiting: Any) -> None:
    """A clear page, not an error of ours."""
    other = emulator.add_company("Other")["id"]
    moved = requests.get(waiting["linkUrl"].replace(company["id"], other), timeout=10)
    emulator.delete_connection(waiting["id"])

    gone = requests.get(waiting["linkUrl"], timeout=10)

    assert (gone.status_code, "This connection is gone" in gone.text) == (404, True)
    assert moved.status_code == 404


def test_a_company_connects_and_disconnects_on_its_own_page(emulator: Emulator, company: Any) -> None:
    """Behind `redirect`: pick a platform, disconnect, revoke, authorise again."""
    page = requests.get(company["redirect"], timeout=10)
    assert safe(page)
    assert "Nothing is connected yet" in page.text
    assert "Basiq" not in page.text

    page = press(company["redirect"], page, platform="gbol")

    made = read(emulator, f"/companies/{company['id']}/connections")["results"][0]
    assert (made["integrationKey"], made["status"]) == ("gbol", "Linked")
    for action, status in [("disconnect", "Unlinked"), ("authorise", "Linked"), ("revoke", "Deauthorized")]:
        page = press(company["redirect"], page, connection=made["id"], action=action)
        assert page.status_code == 200
        assert status_of(emulator, made, company) == status


@pytest.mark.parametrize(
    "fields",
    [
        {"platform": "zzzz"},
        {"platform": ""},
        {"connection": "nothing", "action": "revoke"},
        {"connection": "", "action": "revoke", "platform": "nothing"},
    ],
)
def test_what_a_page_cannot_do_is_said(company: Any, fields: dict[str, str]) -> None:
    """An old page, or a form made up."""
    page = requests.get(company["redirect"], timeout=10)

    answer = press(company["redirect"], page, **fields)

    assert (answer.status_code, "can't be done" in html.unescape(answer.text)) == (400, True)


def test_an_action_that_is_not_offered_is_refused(emulator: Emulator, company: Any, waiting: Any) -> None:
    """Neither one that isn't there, nor one that the status forbids."""
    page = requests.get(company["redirect"], timeout=10)

    for action in ("explode", "revoke"):
        assert press(company["redirect"], page, connection=waiting["id"], action=action).status_code == 400
    assert status_of(emulator, waiting, company) == "PendingAuth"


def test_a_companys_page_needs_its_password(emulator: Emulator, company: Any) -> None:
    """Unless passwords are off; a deleted company says so."""
    page = company["redirect"].partition("?")[0]
    assert requests.get(page, timeout=10).status_code == 410
    assert requests.post(page, data={"platform": "gbol"}, timeout=10).status_code == 410
    emulator.knobs({"linkUrlOtp": "off"})
    assert requests.get(page, timeout=10).status_code == 200
    emulator.delete_company(company["id"])

    gone = requests.get(page, timeout=10)

    assert (gone.status_code, "This company is gone" in gone.text) == (404, True)


def test_a_name_that_is_no_text_is_shown_all_the_same(emulator: Emulator) -> None:
    """Half a surrogate pair can't be sent; it becomes a question mark."""
    company = emulator.add_company("Acme \ud800")

    assert company["name"] == "Acme ?"
    assert "<h1>Acme ?</h1>" in requests.get(company["redirect"], timeout=10).text


def test_the_index_names_every_control_route(emulator: Emulator) -> None:
    """As JSON, and nothing that isn't there."""
    index = requests.get(f"{emulator.url}/_emulator/", timeout=10).json()

    assert index["url"] == emulator.url
    for route in index["routes"]:
        path = route["path"].format(companyId="x", connectionId="x")
        answer = requests.request(route["method"], emulator.url + path, json={}, timeout=10)
        assert "there is no such route" not in answer.text
    assert len(index["routes"]) == 18
