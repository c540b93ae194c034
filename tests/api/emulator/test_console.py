"""The emulator's own pages, as a browser without scripts asks for them."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
import requests

from codat_iac.emulator import KNOBS, Emulator, serving
from codat_iac.emulator.requests.faults import KINDS
from tests.api.emulator.test_pages import HOSTILE, safe

PAGES = "/_emulator/pages"
HTML = {"Accept": "text/html"}


def look(emulator: Emulator, path: str = "/", **query: str) -> requests.Response:
    """A page."""
    return requests.get(emulator.url + path, params=query, headers=HTML, timeout=10)


def text_of(page: requests.Response) -> str:
    """What a person reads: no tags, no style, one space between words."""
    body = re.sub(r"(?s)<style>.*?</style>|<[^>]*>", " ", page.text)
    return re.sub(r"\s+([.,:])", r"\1", " ".join(html.unescape(body).split()))


def send(emulator: Emulator, path: str, **form: str) -> requests.Response:
    """The page to which a form leads, after its redirect, or the one that refuses it."""
    answer = requests.post(emulator.url + path, data=form, allow_redirects=False, timeout=10)
    if answer.status_code != 303:
        assert "Not done." in answer.text or answer.status_code == 404
        assert "<title>Not done:" in answer.text or answer.status_code == 404
        return answer
    page = look(emulator, answer.headers["Location"])
    assert 'role="status"' in page.text
    assert "<title>Done:" in page.text
    return page


def page_of(company: Any) -> str:
    """The path of a company's page."""
    return f"{PAGES}/company/{company['id']}"


@pytest.fixture
def acme(emulator: Emulator) -> Any:
    """A company with tags."""
    return emulator.add_company("Acme", tags={"customerId": "42", "segment": "lending"})


def test_an_empty_emulator_says_how_to_begin(emulator: Emulator) -> None:
    """In words, and with the request for scripts."""
    said = text_of(look(emulator))

    assert "There is none yet" in said
    assert f'POST {emulator.url}/_emulator/companies {{"name": "Acme"}}' in said
    assert "There is none. Point CODAT_BASE_URL here" in text_of(look(emulator, f"{PAGES}/requests"))
    assert "None is in force." in text_of(look(emulator, f"{PAGES}/faults"))
    assert "Nothing has happened by itself yet." in text_of(look(emulator, f"{PAGES}/live"))


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ({"q": "  ACME "}, ["Acme"]),
        ({"q": "segment=lend"}, ["Beta", "Acme"]),
        ({"q": "customerid=42"}, ["Acme"]),
        ({"status": "Unlinked"}, ["Beta"]),
        ({"status": "Unlinked", "q": "Acme"}, []),
        ({"q": "nobody"}, []),
        ({}, ["Gamma", "Beta", "Acme"]),
    ],
)
def test_companies_are_found(emulator: Emulator, acme: Any, search: dict[str, str], found: list[str]) -> None:
    """By name, tag, id, and the status of a connection; of every tenant, the newest first."""
    beta = emulator.add_company("Beta", tags={"segment": "lending"})
    connection = emulator.connect(beta["id"], "gbol", "Unlinked")
    emulator.add_company("Gamma", tenant="other")
    assert f"{PAGES}/company/{beta['id']}" in look(emulator, q=connection["id"]).text

    page = look(emulator, **search)

    assert re.findall(r"<bdi>(\w+)</bdi></a>", page.text) == found
    assert ("No company is like that." in page.text) == (not found)
    assert "3 companies. Connections: 0 Linked, 0 PendingAuth, 0 Deauthorized, 1 Unlinked" in text_of(page)
    assert acme["id"] not in page.text or "Acme" in found


@pytest.mark.parametrize(("number", "shown"), [("1", 1), ("3", 3), ("99", 3), ("-1", 1), ("x", 1), ("0", 1)])
def test_companies_come_in_pages(number: str, shown: int) -> None:
    """25 at once; a number that is none leads to the nearest page, and the search goes on with it."""
    with serving(companies=60) as emulator:
        page = look(emulator, page=number, q="-")

    names = re.findall(r'<th scope="row">', page.text)
    assert f"Page {shown} of 3" in text_of(page)
    assert ("Newer" in page.text, "Older" in page.text) == (shown > 1, shown < 3)
    assert len(names) == (25 if shown < 3 else 10)
    assert shown == 3 or f'href="/?q=-&amp;status=&amp;page={shown + 1}"' in page.text


def test_a_company_signs_up(emulator: Emulator) -> None:
    """With its tags; spaces around them don't count."""
    page = send(emulator, "/", name=" Gamma ", tags=" customerId = 7 \r\n\r\nregion=EU")

    assert "The company has signed up." in text_of(page)
    assert "<h1>Gamma</h1>" in page.text
    assert "Tag customerId 7 Tag region EU" in text_of(page)
    assert "Nothing is connected yet." in page.text


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"name": "", "tags": "a=b"}, "`name` is needed"),
        ({"name": "Gamma", "tags": "a=b\nno tag"}, "Write one tag a line, as name=value."),
        ({"name": "Gamma", "tags": f"{'a' * 28}=b"}, "Codat takes at most 10 tags"),
        ({"name": "Gamma", "tags": "=b"}, "Codat takes at most 10 tags"),
    ],
)
def test_a_company_that_cannot_sign_up_is_told_why(
    emulator: Emulator, form: dict[str, str], why: str
) -> None:
    """What was typed is still there, and nothing was made."""
    page = send(emulator, "/", **form)

    assert page.status_code == 400
    assert why in text_of(page)
    assert html.escape(form["tags"]) in page.text
    assert "0 companies" in page.text


def test_every_button_does_what_it_says(emulator: Emulator, acme: Any) -> None:
    """The customer's and the Portal's; each status offers what can be done with it."""
    path = page_of(acme)
    page = send(emulator, path, action="connect", platform="gbol", status="PendingAuth")
    [connection] = emulator.connections(acme["id"])
    marks = {"Linked": "●", "PendingAuth": "○", "Deauthorized": "▲", "Unlinked": "■"}
    buttons = {
        "PendingAuth": ["authorise", "fail", "delete"],
        "Linked": ["revoke", "unlink", "delete"],
        "Deauthorized": ["authorise", "fail", "unlink", "delete"],
        "Unlinked": ["authorise", "fail", "delete"],
    }
    assert re.findall(r'name="action" value="(\w+)"', page.text)[:3] == buttons["PendingAuth"]

    for action, status in [
        ("fail", "PendingAuth"),
        ("authorise", "Linked"),
        ("revoke", "Deauthorized"),
        ("authorise", "Linked"),
        ("revoke", "Deauthorized"),
        ("unlink", "Unlinked"),
        ("authorise", "Linked"),
        ("unlink", "Unlinked"),
    ]:
        page = send(emulator, path, action=action, connection=connection["id"])
        assert emulator.connections(acme["id"])[0]["status"] == status
        offered = re.findall(r'name="action" value="(\w+)"', page.text)
        assert offered[: len(buttons[status])] == buttons[status]
        assert f"Status {marks[status]} {status}" in text_of(page)
    assert "Resolved: The authorization was cancelled." in text_of(page)

    page = send(emulator, path, action="delete", connection=connection["id"])
    assert "The connection is deleted." in page.text
    assert emulator.connections(acme["id"]) == []

    page = send(emulator, path, action="change", name="Acme 2", tags="segment=insights")
    assert "<h1>Acme 2</h1>" in page.text
    assert "segment=insights\n</textarea>" in page.text
    assert "customerId" not in page.text

    page = send(emulator, path, action="close")
    assert "The company and its connections are deleted." in page.text
    assert look(emulator, path).status_code == 404
    assert send(emulator, path, action="close").status_code == 404
    assert send(emulator, path, action="revoke", connection=connection["id"]).status_code == 404


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"action": "revoke"}, "needs Linked"),
        ({"action": "authorise", "connection": "gone"}, "This connection is gone"),
        ({"action": "explode"}, "out of date"),
        ({}, "out of date"),
        ({"action": "connect", "platform": "zzzz"}, "there is no platform 'zzzz'"),
        ({"action": "connect", "platform": "gbol", "status": ""}, "`status` is needed"),
        ({"action": "change", "name": "", "tags": "x"}, "Write one tag a line"),
    ],
)
def test_what_a_button_cannot_do_is_said(
    emulator: Emulator, acme: Any, form: dict[str, str], why: str
) -> None:
    """On the same page, which is up to date; nothing was done, and what was typed is still there."""
    waiting = emulator.connect(acme["id"], "gbol", "PendingAuth")
    form = {"connection": waiting["id"], **form}

    page = send(emulator, page_of(acme), **form)

    assert page.status_code == 400
    assert why in text_of(page)
    assert "<h1>Acme</h1>" in page.text
    assert emulator.connections(acme["id"]) == [
        {"id": waiting["id"], "platformKey": "gbol", "status": "PendingAuth"}
    ]


def test_a_company_shows_where_it_belongs_and_what_codat_knows(emulator: Emulator) -> None:
    """Another tenant, a description, a status that nobody knows, and the pages of its customer."""
    headers = {"Authorization": emulator.authorization}
    made = requests.post(
        f"{emulator.url}/companies", json={"name": "A", "description": "B"}, headers=headers, timeout=10
    ).json()
    assert "Description B" in text_of(look(emulator, page_of(made)))
    assert "Tenant" not in look(emulator, page_of(made)).text
    other = emulator.add_company("Other", tenant="second")
    strange = emulator.connect(other["id"], "gbol", "Paused")

    page = look(emulator, page_of(other).upper().replace("/_EMULATOR/PAGES/COMPANY", f"{PAGES}/company"))

    assert "Tenant second" in text_of(page)
    assert "Status ? Paused" in text_of(page)
    assert "1 Paused" in text_of(look(emulator))
    for link in (other["redirect"], strange["linkUrl"]):
        assert f'href="{html.escape(link)}"' in page.text
        assert look(emulator, link.removeprefix(emulator.url)).status_code == 200


@pytest.mark.parametrize("path", ["/", f"{PAGES}/live", "company"])
def test_a_hostile_name_is_only_a_text(path: str) -> None:
    """Everywhere where a name is shown; its page may run nothing and load nothing."""
    with serving(seed=1) as emulator:
        emulator.live(2)
        for each in emulator._world.tenants["main"].companies:
            emulator.change_company(each, name=HOSTILE, tags={HOSTILE[:27]: HOSTILE})
        act = emulator.live(30)[-1]
        assert any(each.company == HOSTILE for each in emulator._world.history.latest)
        company_id = next(
            each.id for each in emulator._world.tenants["main"].companies.values() if each.name == HOSTILE
        )
        page = look(emulator, f"{PAGES}/company/{company_id}" if path == "company" else path)

        assert act["number"] == 32
        assert safe(page)
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_the_log_shows_the_newest_first(emulator: Emulator, acme: Any) -> None:
    """Method, path, status, time, fault; filtered by text and by failure, and cleared."""
    headers = {"Authorization": emulator.authorization}
    connections = f"/companies/{acme['id']}/connections"
    emulator.faults(
        [
            {"on": "GET /integrations", "do": "reset-before", "times": 1},
            {"on": "GET /companies", "do": "html", "times": 1},
        ]
    )
    for path in ("/companies", "/companies?page=1", "/companies/x"):
        requests.get(emulator.url + path, headers=headers, timeout=10)
    keyed = {**headers, "Idempotency-Key": "1"}
    for _ in range(2):
        requests.post(emulator.url + connections, json={"platformKey": "gbol"}, headers=keyed, timeout=10)
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{emulator.url}/integrations", headers=headers, timeout=10)

    page = look(emulator, f"{PAGES}/requests")

    rows = [
        " ".join(html.unescape(re.sub("<[^>]*>", " ", row)).split()[:1] + row_text(row))
        for row in re.findall(r"(?s)<tr>(.*?)</tr>", page.text)[1:]
    ]
    assert rows == [
        "6 GET /integrations no answer list-integrations, fault reset-before",
        f"5 POST {connections} 200 create-connection, replayed",
        f"4 POST {connections} 200 create-connection, changed",
        "3 GET /companies/x 400 get-company",
        "2 GET /companies?page=1 200 list-companies",
        "1 GET /companies 200 list-companies, fault html",
    ]
    assert "6 requests to Codat's API; at most 6 in a minute, and 1 at once" in text_of(page)
    assert "list-companies 2" in text_of(page)
    assert "3 found" in look(emulator, f"{PAGES}/requests", failed="1").text
    assert "2 found" in look(emulator, f"{PAGES}/requests", q="post").text
    assert "No request is like that." in look(emulator, f"{PAGES}/requests", q="nothing").text

    page = send(emulator, f"{PAGES}/requests", action="clear")

    assert "The log is empty." in page.text
    assert "There is none." in page.text


def row_text(row: str) -> list[str]:
    """A row's words after its number and its time."""
    return html.unescape(re.sub("<[^>]*>", " ", row)).split()[3:]


def test_a_fault_is_added_and_switched_off(emulator: Emulator) -> None:
    """Beside those that are in force, whose hits stay."""
    emulator.faults([{"on": "GET /companies", "do": "status", "status": 503, "skip": 1, "probability": 0.5}])
    for _ in range(8):
        requests.get(
            f"{emulator.url}/companies", headers={"Authorization": emulator.authorization}, timeout=10
        )
    hits = emulator.faults()[0]["hits"]
    assert hits

    page = send(
        emulator, f"{PAGES}/faults", on="* /**", do="delay", seconds="0.5", times="2", status="", action="add"
    )

    assert "The fault is in force." in page.text
    assert "delay: wait seconds, then do it, even if the client has left (0.5 seconds) 2 times" in text_of(
        page
    )
    assert "(status 503) always, after 1, with probability 0.5" in text_of(page)
    first, second = emulator.faults()
    assert (first["hits"], second["seconds"], second["times"], second["on"]) == (hits, 0.5, 2, "* /**")

    keys = [html.unescape(key) for key in re.findall(r'name="fault" value="([^"]*)"', page.text)]
    page = send(emulator, f"{PAGES}/faults", action="remove", fault=keys[0])
    assert "The fault is off." in page.text
    assert [each["do"] for each in emulator.faults()] == ["delay"]
    page = send(emulator, f"{PAGES}/faults", action="remove", fault=keys[0])
    assert (page.status_code, "This fault is off already" in page.text) == (400, True)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"on": "nothing", "do": "status"}, "a method and a path"),
        ({"on": "* /**", "do": "explode"}, "`do` can't be 'explode'"),
        ({"on": "* /**", "do": "status", "status": "9"}, "`status` can't be 9"),
        ({"on": "* /**", "do": "status", "times": "often"}, "`times` can't be 'often'"),
        ({"on": "* /**", "do": "delay", "seconds": "nan"}, "`seconds` can't be nan"),
        ({"on": "* /**", "do": "delay", "seconds": "9" * 5000}, "`seconds` can't be inf"),
    ],
)
def test_a_fault_that_is_none_is_refused(emulator: Emulator, form: dict[str, str], why: str) -> None:
    """Those in force stay; what was typed is still there."""
    emulator.faults([{"on": "GET /companies", "do": "status"}])

    page = send(emulator, f"{PAGES}/faults", **form)

    assert page.status_code == 400
    assert why in text_of(page)
    assert f'value="{form["on"]}"' in page.text
    assert len(emulator.faults()) == 1


def test_every_kind_of_fault_is_explained(emulator: Emulator) -> None:
    """And can be chosen."""
    page = look(emulator, f"{PAGES}/faults")

    assert re.findall(r'<option value="([\w-]+)"', page.text) == list(KINDS)


def test_every_knob_can_be_turned(emulator: Emulator) -> None:
    """As the form has them, nothing changes; each value is one that the knob can have; and back again."""
    page = look(emulator, f"{PAGES}/knobs")
    shown = re.findall(r'<label for="(\w+)">', page.text)
    before = emulator.knobs()
    assert shown == list(KNOBS)
    form = dict(re.findall(r'<input id="(\w+)" [^>]*value="([^"]*)"', page.text))
    for name, options in re.findall(r'(?s)<select id="(\w+)".*?>(.*?)</select>', page.text):
        [form[name]] = re.findall("<option selected>(.*?)</option>", options)

    send(emulator, f"{PAGES}/knobs", action="set", **form)
    assert emulator.knobs() == before

    page = send(
        emulator,
        f"{PAGES}/knobs",
        action="set",
        **{**form, "deleteTwice": "200", "unknownFields": "true", "dailyQuota": "5", "readLagSeconds": "0.5"},
    )
    changed = {"deleteTwice": 200, "unknownFields": True, "dailyQuota": 5, "readLagSeconds": 0.5}
    assert emulator.knobs() == {**before, **changed}
    assert "<option selected>true</option>" in page.text
    send(emulator, f"{PAGES}/knobs", action="set", dailyQuota="")
    assert emulator.knobs()["dailyQuota"] is None
    send(emulator, f"{PAGES}/knobs", action="defaults")
    assert emulator.knobs() == before


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("deleteTwice", "500", "deleteTwice can't be '500'; it can be: 404, 200"),
        ("latencySeconds", "", "latencySeconds can't be None"),
        ("rowShift", "1.5", "rowShift can't be 1.5"),
        ("rowShift", "many", "rowShift can't be 'many'"),
    ],
)
def test_a_knob_that_cannot_be_turned_so_says_what_can(
    emulator: Emulator, name: str, value: str, why: str
) -> None:
    """None is turned, not even those that could be."""
    before = emulator.knobs()

    page = send(emulator, f"{PAGES}/knobs", action="set", deleteBody="true", **{name: value})

    assert page.status_code == 400
    assert why in text_of(page)
    assert emulator.knobs() == before


def test_the_tenant_lives_at_the_press_of_a_button(emulator: Emulator) -> None:
    """The acts are listed, the latest first; and all starts over."""
    page = send(emulator, f"{PAGES}/live", steps="40")

    assert "The tenant has lived." in page.text
    assert "40 acts so far" in page.text
    numbers = re.findall(r'<td data-label="No.">(\d+)</td>', page.text)
    assert numbers == [str(number) for number in range(40, 0, -1)]
    assert "delete" in page.text
    for steps in ("0", "many", ""):
        page = send(emulator, f"{PAGES}/live", steps=steps)
        assert "`steps` is a whole number from 1 to 10,000" in text_of(page)

    page = send(emulator, f"{PAGES}/live", action="reset")

    assert "Everything is as it was at the start." in page.text
    assert "0 companies" in look(emulator).text


def test_acts_of_an_earlier_run_are_counted(tmp_path: Any) -> None:
    """What they were is forgotten with the process."""
    for _ in range(2):
        with serving(state=tmp_path / "state.db") as emulator:
            page = look(emulator, f"{PAGES}/live")
            emulator.live(3)

    assert "Nothing has happened by itself since the emulator was started." in text_of(page)


def test_scripts_find_the_routes_and_people_too(emulator: Emulator) -> None:
    """As a page to a browser, and JSON to all others."""
    for path in ("/_emulator", "/_emulator/", f"{PAGES}/routes"):
        assert "POST companies/{companyId}/connections" in text_of(look(emulator, path))
    assert requests.get(f"{emulator.url}/_emulator/", timeout=10).json()["url"] == emulator.url


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "null"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "own"}, 303),
        ({"Host": "localhost:1"}, 303),
        ({"Host": "LOCALHOST"}, 303),
        ({"Host": "[::1]:80"}, 303),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "evil.example:80@127.0.0.1"}, 303),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
    ],
)
def test_other_sites_change_nothing(emulator: Emulator, headers: dict[str, str], status: int) -> None:
    """Neither by a form that they send, nor by a name of theirs that points here."""
    if headers.get("Origin") == "own":
        headers = {"Origin": emulator.url}

    answer = requests.post(
        f"{emulator.url}/", data={"name": "A"}, headers=headers, allow_redirects=False, timeout=10
    )
    control = requests.post(f"{emulator.url}/_emulator/live", json={}, headers=headers, timeout=10)

    assert answer.status_code == status
    assert control.status_code == (403 if status == 403 else 200)
    assert bool(emulator._world.tenants["main"].companies) == (status == 303)


def test_other_sites_read_nothing(emulator: Emulator) -> None:
    """A link from elsewhere may lead here; a name of theirs that points here shows nothing."""
    link = requests.get(emulator.url, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10)
    rebound = requests.get(emulator.url, headers={"Host": "evil.example"}, timeout=10)

    assert link.status_code == 200
    assert rebound.status_code == 403
    assert "127.0.0.1 and localhost alone" in rebound.json()["error"]
