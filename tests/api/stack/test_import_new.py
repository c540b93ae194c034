"""`import --new`: newcomers come into the file that declares their company, and Codat is only read."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from codat_iac.codat.client import Reader
from codat_iac.desired import load, load_state
from codat_iac.emulator import Emulator
from codat_iac.model.connection import Address
from codat_iac.model.errors import ConfigError
from codat_iac.model.record import recorded
from codat_iac.model.settings import Settings
from codat_iac.planning.plan.unmanaged import OnUnmanaged, UnmanagedPolicy
from codat_iac.planning.rule_table import Action
from codat_iac.reconcile.planner import Planner
from codat_iac.stack.importing import discovery
from codat_iac.stack.importing.discovery import Filters
from codat_iac.stack.importing.draft import Draft, draft, ignored_companies
from codat_iac.stack.importing.importer import ImportFailed, import_into
from codat_iac.stack.importing.target_file import Page, alone_in, by_file
from codat_iac.stack.stack import Stack, StackError
from tests.support.builders import connected, tagged, writes
from tests.support.waiting import until


@dataclass(frozen=True)
class Kept(Stack):
    """A stack whose state is kept here, and does what `pulumi import` and `pulumi stack import` do to one."""

    deployment: dict[str, Any] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fails_at: list[str] = field(default_factory=list)

    def export(self) -> dict[str, Any]:
        """The state."""
        return {"version": 3, "deployment": copy.deepcopy(self.deployment)}

    def pulumi(self, *arguments: str, **_: object) -> str:
        """Change the state as Pulumi would, and fail after that if it is to."""
        words = " ".join(each for each in arguments[:2] if not each.startswith("-"))
        self.calls.append(words)
        given = json.loads(
            Path(next(each for each in arguments if each.startswith("--file=")).partition("=")[2]).read_text()
        )
        if words == "import":
            for each in given["resources"]:
                urn = f"urn:pulumi:dev::shop::{each['type']}::{each['name']}"
                self.deployment.setdefault("resources", []).append({**each, "urn": urn, "custom": True})
        else:
            self.deployment.clear()
            self.deployment.update(given["deployment"])
        if words in self.fails_at:
            raise StackError(f"`pulumi {words}` failed: no more disk")
        return ""


@dataclass
class Growing:
    """A tenant that grows, a folder of files, and a stack."""

    emulator: Emulator
    folder: Path
    stack: Kept

    def __post_init__(self) -> None:
        self.reader = Reader(self.emulator.api_key, self.emulator.url)
        self.settings = Settings(self.emulator.api_key, self.emulator.url)
        self.acme, self.bolt = self.company("Acme"), self.company("Bolt", segment="demo")
        self.write(
            "a.yaml", f"{HEAD}  # our first\n  acme:\n    id: {self.acme}\n    connections: {{}} # none\n"
        )
        self.write("b.yaml", f"{HEAD}  bee: {{id: {self.bolt}, connections: {{}}}}\n# the end\n")

    def company(self, name: str, **tags: str) -> str:
        """Add a company with these tags."""
        return tagged(self.emulator, name, **tags)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    @property
    def files(self) -> dict[str, bytes]:
        """What lies in the folder."""
        return {file.name: file.read_bytes() for file in sorted(self.folder.iterdir())}

    @property
    def ids(self) -> dict[str, str]:
        """The ids in the state, by address."""
        return {str(each.address): each.id for each in recorded(self.stack.export())}

    @property
    def changes(self) -> list[str]:
        """What a plan would do."""
        plan = Planner(self.reader, self.settings, recorded(self.stack.export())).plan(load(self.folder))
        return [each.address for each in plan.changes] + [each.text for each in plan.problems]

    def run(self, path: Path | None = None, **rest: Any) -> Draft:
        """Bring in what is new."""
        self.emulator.clear_requests()
        self.stack.calls.clear()
        found = discovery.find(self.reader, rest.pop("filters", Filters()))
        return import_into(
            self.stack, self.reader, self.settings, found, path or self.folder, new=True, **rest
        )


HEAD = "# people's own\nversion: 1\ncompanies:\n"


@pytest.fixture
def growing(emulator: Emulator, tmp_path: Path) -> Growing:
    """Two companies that are declared, each in a file of its own, without connections yet."""
    folder = tmp_path / "desired"
    folder.mkdir()
    return Growing(emulator, folder, Kept(tmp_path, "dev", Path("pulumi")))


def at_step(step: str, act: Callable[[], object]) -> Callable[[str], None]:
    """Do something right before a step."""

    def tell(told: str) -> None:
        if told.startswith(step):
            act()

    return tell


def test_newcomers_come_where_their_company_is_declared(growing: Growing) -> None:
    """Below its own key; new companies get the default file. Again, there is nothing to do or to write."""
    before = growing.files
    ids = {
        "acme/xero": connected(growing.emulator, growing.acme),
        "acme/plaid": connected(growing.emulator, growing.acme, "suuo", "PendingAuth"),
        "bee/shopify": connected(growing.emulator, growing.bolt, "fztf", "Unlinked"),
        "curb/xero": connected(growing.emulator, growing.company("Curb"), "gbol", "Deauthorized"),
    }

    done = growing.run()

    assert {str(each.address): each.live.id for each in done.arrivals} == growing.ids == ids
    assert growing.stack.calls == ["import"]
    assert growing.files["a.yaml"] == before["a.yaml"].replace(
        b" {} # none\n", b" # none\n      plaid: { platformKey: suuo }\n      xero: { platformKey: gbol }\n"
    )
    assert growing.files["b.yaml"] == before["b.yaml"].replace(
        b"{}", b"{ shopify: { platformKey: fztf, status: Unlinked } }"
    )
    assert "  curb: # Curb\n" in growing.files["imported.yaml"].decode()
    assert growing.changes == []
    assert writes(growing.emulator) == []

    files, state = growing.files, growing.stack.export()
    assert (
        growing.run(confirm=lambda again: None if not again.arrivals else pytest.fail("again")).arrivals == ()
    )
    assert (growing.files, growing.stack.export(), growing.stack.calls) == (files, state, [])
    assert writes(growing.emulator) == []

    later = connected(growing.emulator, growing.acme, "fztf")
    assert [each.live.id for each in growing.run().arrivals] == [later]
    assert growing.files == {**files, "a.yaml": growing.files["a.yaml"]}
    assert growing.files["a.yaml"].startswith(files["a.yaml"].rstrip(b"\n"))
    more = connected(growing.emulator, growing.company("Dune"))
    assert [each.live.id for each in growing.run().arrivals] == [more]
    assert growing.files["imported.yaml"].startswith(files["imported.yaml"].rstrip(b"\n"))


@pytest.mark.parametrize("files_only", [False, True])
def test_a_newcomer_beside_a_rename_that_is_still_to_be_applied(growing: Growing, files_only: bool) -> None:
    """The rename stays to be done, and the newcomer is one more: nobody takes it for the renamed one."""
    ledger = connected(growing.emulator, growing.acme)
    growing.run()
    growing.write("a.yaml", growing.files["a.yaml"].decode().replace("xero:", "ledger:"))
    assert growing.changes == ["acme/ledger"]
    late = connected(growing.emulator, growing.acme)

    done = growing.run(files_only=files_only)

    assert [(str(each.address), each.live.id, each.declared) for each in done.arrivals] == [
        ("acme/xero-2", late, False)
    ]
    assert growing.ids == {"acme/xero": ledger} | ({} if files_only else {"acme/xero-2": late})
    assert growing.changes == ["acme/ledger"] + (["acme/xero-2"] if files_only else [])
    assert [(each.address, each.connection_id) for each in load(growing.folder)] == [
        ("acme/ledger", None),
        ("acme/xero-2", late if files_only else None),
    ]
    plan = Planner(growing.reader, growing.settings, recorded(growing.stack.export())).plan(
        load(growing.folder)
    )
    assert [(each.action, each.becomes) for each in plan.changes] == [(Action.MOVE, ledger)] + (
        [(Action.ADOPT, late)] if files_only else []
    )


def test_the_filters_choose_among_the_newcomers(growing: Growing) -> None:
    """The rest is proposed by the next run."""
    connected(growing.emulator, growing.acme)
    bank = connected(growing.emulator, growing.acme, "suuo")

    growing.run(filters=Filters(platforms=frozenset({"suuo"})))
    assert growing.ids == {"acme/plaid": bank}
    growing.run()
    assert sorted(growing.ids) == ["acme/plaid", "acme/xero"]


def test_what_is_ignored_is_left_alone_unless_it_is_declared(growing: Growing) -> None:
    """By the tag of its company."""
    ledger = connected(growing.emulator, growing.bolt)
    connected(growing.emulator, growing.bolt, "suuo")
    growing.write("c.yaml", "version: 1\ncompanies: {}\nunmanagedByTag: {segment=demo: ignore}\n")
    growing.write(
        "b.yaml",
        f"{HEAD}  bee:\n    id: {growing.bolt}\n"
        f"    connections: {{mine: {{platformKey: gbol, connectionId: {ledger}}}}}\n",
    )
    before = growing.files

    done = growing.run()

    assert growing.ids == {"bee/mine": ledger}
    assert [(each.counted, each.held) for each in done.skipped] == [("hidden by `unmanaged: ignore`", False)]
    assert growing.files == before


def test_what_an_apply_has_ended_is_not_new(growing: Growing) -> None:
    """Nor is anything else that is Unlinked, unless it is declared, or asked for."""
    ended, meant = (connected(growing.emulator, growing.acme, each) for each in ("gbol", "fztf"))
    for each in (ended, meant):
        growing.emulator.unlink(each)
    growing.write(
        "b.yaml",
        f"{HEAD}  acme:\n    id: {growing.acme}\n"
        f"    connections: {{mine: {{platformKey: fztf, status: Unlinked, connectionId: {meant}}}}}\n",
    )
    before = growing.files

    done = growing.run(unlinked=False)

    assert growing.ids == {"acme/mine": meant}
    assert [(each.live.id, each.counted) for each in done.skipped] == [
        (ended, "Unlinked; --status Unlinked brings such in")
    ]
    assert growing.files == before

    growing.run()

    assert growing.ids == {"acme/mine": meant, "acme/xero": ended}


def test_of_what_a_rule_declares_there_is_no_second_one(growing: Growing) -> None:
    """It is left alone and named, and the others come in."""
    growing.emulator.change_company(growing.bolt, tags={"segment": "lending", "customerId": "42"})
    bank = connected(growing.emulator, growing.bolt, "suuo")
    growing.write(
        "b.yaml",
        "version: 1\nrules:\n  lending:\n    forEach: { tag: segment=lending, key: { tag: customerId } }\n"
        "    connections: { bank: { platformKey: suuo, onExisting: adopt } }\ncompanies: {}\n",
    )
    growing.run()
    second = connected(growing.emulator, growing.bolt, "suuo")
    shop = connected(growing.emulator, growing.acme, "fztf")

    done = growing.run()

    assert growing.ids == {"42/bank": bank, "acme/shopify": shop}
    (skipped,) = (each for each in done.skipped if not each.held)
    assert skipped.live.id == second
    assert skipped.reason.startswith(
        "is beside 42/bank, and of what a rule declares there can be no second one"
    )


@pytest.mark.parametrize("name", ["b.py", "b.yaml"])
def test_a_company_is_named_as_another_file_names_it(growing: Growing, name: str) -> None:
    """By its match, where the import has to write elsewhere."""
    growing.emulator.change_company(growing.bolt, tags={"customerId": "42"})
    said = {"version": 1, "companies": {"bee": {"match": {"tag": "customerId=42"}, "connections": {}}}}
    (growing.folder / "b.yaml").unlink()
    python = name.endswith(".py")
    growing.write(name, f"def desired():\n    return {said}\n" if python else json.dumps(said))
    bank = connected(growing.emulator, growing.bolt, "suuo")

    growing.run(out=None if python else growing.folder / "imported.yaml")

    assert growing.ids == {"bee/plaid": bank}
    assert b"match: { tag: customerId=42 }" in growing.files["imported.yaml"]
    assert growing.run().arrivals == ()


def test_everything_is_in_the_one_file(growing: Growing, tmp_path: Path) -> None:
    """Where the desired state is no folder; it exists, and that is no question."""
    file = tmp_path / "one.yaml"
    file.write_text(growing.files["a.yaml"].decode())
    connected(growing.emulator, growing.acme)
    connected(growing.emulator, growing.bolt)

    growing.run(file)

    assert [each.address for each in load(file)] == ["acme/xero", "bolt/xero"]
    assert file.read_text().startswith("# people's own\nversion: 1\ncompanies:\n  # our first\n  acme:\n")


def test_a_company_that_python_declares_gets_a_yaml_file(growing: Growing) -> None:
    """Nobody can add to a program; a folder is needed for that."""
    (growing.folder / "b.yaml").unlink()
    code = f"'companies': {{'bee': {{'id': '{growing.bolt}', 'connections': {{}}}}}}"
    python = growing.write("b.py", f"def desired(): return {{'version': 1, {code}}}\n")
    connected(growing.emulator, growing.bolt)

    growing.run()

    assert list(growing.ids) == ["bee/xero"]
    assert "  bee: # Bolt\n" in growing.files["imported.yaml"].decode()
    connected(growing.emulator, growing.acme)
    with pytest.raises(ConfigError, match=r"b\.py is Python, which an import can't write"):
        growing.run(python)


def test_a_file_that_is_named_gets_all(growing: Growing) -> None:
    """As in an import without --new."""
    before = growing.files
    connected(growing.emulator, growing.acme)

    growing.run(out=growing.folder / "mine.yaml")

    assert {name: text for name, text in growing.files.items() if name != "mine.yaml"} == before
    assert [each.address for each in load(growing.folder)] == ["acme/xero"]


def test_a_file_that_nothing_can_be_added_to_leaves_all_as_it_was(growing: Growing) -> None:
    """Also those that were written before it; the remedy that is named works."""
    growing.write(
        "b.yaml", f"version: 1\nx-b: &b {{id: {growing.bolt}, connections: {{}}}}\ncompanies: {{bee: *b}}\n"
    )
    connected(growing.emulator, growing.acme)
    connected(growing.emulator, growing.bolt)
    before = growing.files

    with pytest.raises(
        ImportFailed, match=r"nothing was imported: .*b\.yaml, line 3, .*let --out name another file"
    ):
        growing.run()

    assert (growing.files, growing.ids, growing.stack.calls) == (before, {}, [])
    growing.run(out=growing.folder / "mine.yaml")
    assert sorted(growing.ids) == ["acme/xero", "bee/xero"]
    assert growing.changes == []


def test_an_import_that_pulumi_fails_at_leaves_all_as_it_was(growing: Growing) -> None:
    """The files, and what it had recorded by then; then the same again brings it in."""
    connected(growing.emulator, growing.acme)
    connected(growing.emulator, growing.company("Curb"))
    before = growing.files
    growing.stack.fails_at.append("import")

    with pytest.raises(ImportFailed, match="nothing was imported: `pulumi import` failed: no more disk"):
        growing.run()

    assert (growing.files, growing.ids) == (before, {})
    assert growing.stack.calls == ["import", "stack import"]
    growing.stack.fails_at.clear()
    assert len(growing.run().arrivals) == 2
    assert writes(growing.emulator) == []


def test_what_an_old_buffer_overwrote_is_not_recorded(growing: Growing) -> None:
    """An editor that saved what it had: recorded and not declared, the next apply would unlink it."""
    connected(growing.emulator, growing.acme)
    old = growing.files["a.yaml"].decode()
    save = at_step("proving", lambda: growing.write("a.yaml", f"{old}# mine\n"))

    with pytest.raises(
        ImportFailed, match=r"nothing was imported: .*a\.yaml was changed meanwhile.* lacks acme/xero"
    ):
        growing.run(tell=save)

    assert growing.ids == {}
    assert growing.changes == []
    growing.run()
    assert list(growing.ids) == ["acme/xero"]


def test_what_was_overwritten_before_it_was_recorded_never_is(growing: Growing) -> None:
    """The file is looked at once more after it was written."""
    connected(growing.emulator, growing.acme)
    connected(growing.emulator, growing.bolt)
    old = growing.files["a.yaml"].decode()
    save = at_step(f"writing {growing.folder / 'b.yaml'}", lambda: growing.write("a.yaml", f"{old}# mine\n"))

    with pytest.raises(ImportFailed, match="the desired state lacks acme/xero, which was just written"):
        growing.run(tell=save)

    assert (growing.ids, growing.stack.calls) == ({}, [])


def test_imports_into_one_folder_come_one_after_the_other(growing: Growing) -> None:
    """Those of two shards would write over each other's lines."""
    connected(growing.emulator, growing.acme)
    connected(growing.emulator, growing.bolt)
    told: list[str] = []
    other = Growing(growing.emulator, growing.folder, growing.stack)
    growing.write("a.yaml", f"{HEAD}  acme: {{id: {growing.acme}, connections: {{}}}}\n")
    growing.write("b.yaml", f"{HEAD}  bee: {{id: {growing.bolt}, connections: {{}}}}\n")

    with ThreadPoolExecutor(1) as thread:

        def begin_another() -> None:
            running.append(thread.submit(other.run, tell=told.append))
            until(lambda: told, "the other one waits")

        running: list[Future[Draft]] = []
        growing.run(tell=at_step("importing", begin_another))
        second = running[0].result()

    assert told == [f"waiting for another import into {growing.folder}"]
    assert second.arrivals == ()
    assert sorted(growing.ids) == ["acme/xero", "bee/xero"]


def test_a_folder_that_is_not_there_is_no_reason_to_wait(tmp_path: Path) -> None:
    """Who reads it says what is wrong."""
    entered = False
    with alone_in(tmp_path / "nowhere", pytest.fail):
        entered = True

    assert entered


def test_who_connects_again_is_not_one_more(growing: Growing) -> None:
    """Deleted in Codat and connected again: an import beside it would have the next apply ask once more."""
    first = connected(growing.emulator, growing.acme)
    growing.run()
    growing.emulator.delete_connection(first)
    again = connected(growing.emulator, growing.acme)
    shop = connected(growing.emulator, growing.bolt, "fztf")
    before = growing.files["a.yaml"]

    done = growing.run()

    (skipped,) = (each for each in done.skipped if not each.held)
    assert (skipped.live.id, growing.ids) == (again, {"acme/xero": first, "bee/shopify": shop})
    assert skipped.reason.startswith("may be in place of what acme/xero means, which is gone from Codat")
    assert growing.files["a.yaml"] == before
    # The remedy that is named: an apply takes it up, and asks nobody.
    named = before.replace(b"platformKey: gbol", f"platformKey: gbol, connectionId: {again}".encode())
    growing.write("a.yaml", named.decode())
    planner = Planner(growing.reader, growing.settings, recorded(growing.stack.export()))
    (change,) = planner.plan(load(growing.folder)).changes
    assert (change.address, change.becomes, change.posts) == ("acme/xero", again, False)


def test_what_the_plan_had_before_is_no_reason_to_fail(growing: Growing) -> None:
    """And is told to be there still."""
    connected(growing.emulator, growing.acme)
    growing.write(
        "b.yaml", f"{HEAD}  bee: {{id: {growing.bolt}, connections: {{shop: {{platformKey: fztf}}}}}}\n"
    )

    done = growing.run()

    assert (list(growing.ids), done.left) == (["acme/xero"], 1)
    growing.write("b.yaml", f"{HEAD}  bee: {{id: {growing.bolt}, connections: {{}}}}\n")
    connected(growing.emulator, growing.bolt)
    assert growing.run().left == 0


def test_who_connects_again_before_the_first_apply_is_not_one_more(growing: Growing) -> None:
    """The file of a pull request names the one that was there then."""
    first = connected(growing.emulator, growing.acme)
    growing.run(files_only=True)
    growing.emulator.delete_connection(first)
    again = connected(growing.emulator, growing.acme)
    before = growing.files

    done = growing.run(files_only=True)

    assert [each.live.id for each in done.skipped] == [again]
    assert growing.files == before


def test_each_file_that_can_be_is_put_back(growing: Growing) -> None:
    """One that somebody saved meanwhile is left as it is, and told."""
    connected(growing.emulator, growing.acme)
    connected(growing.emulator, growing.bolt)
    before = growing.files
    growing.stack.fails_at.append("import")

    def save() -> None:
        growing.write("a.yaml", growing.files["a.yaml"].decode() + "# saved\n")

    with pytest.raises(ImportFailed, match=r"the file can't be put back \(.*a\.yaml was changed meanwhile"):
        growing.run(tell=at_step("importing", save))

    assert growing.files["b.yaml"] == before["b.yaml"]
    assert growing.files["a.yaml"].endswith(b"# saved\n")
    growing.stack.fails_at.clear()
    growing.run()
    assert sorted(growing.ids) == ["acme/xero", "bee/xero"]


def test_ids_are_taken_out_of_each_file_that_can_be_written(growing: Growing) -> None:
    """What is imported stays so; the others are named."""
    connected(growing.emulator, growing.acme)
    connected(growing.emulator, growing.bolt)

    def save() -> None:
        growing.write("a.yaml", growing.files["a.yaml"].decode() + "# saved\n")

    with pytest.raises(ImportFailed, match=r"all is imported, but .*a\.yaml was changed meanwhile"):
        growing.run(tell=at_step("proving", save))

    assert sorted(growing.ids) == ["acme/xero", "bee/xero"]
    assert b"connectionId" in growing.files["a.yaml"]
    assert b"connectionId" not in growing.files["b.yaml"]


@pytest.mark.parametrize("recorded_by_then", [False, True])
def test_an_import_that_was_broken_off_is_completed_by_the_next(
    growing: Growing, recorded_by_then: bool
) -> None:
    """By whatever ended its process: the files name what was found by its ids."""
    ids = {
        "acme/xero": connected(growing.emulator, growing.acme),
        "curb/xero": connected(growing.emulator, growing.company("Curb")),
    }
    found = discovery.find(growing.reader, Filters())
    state = load_state(growing.folder)
    drafted = draft(found, keys=state.company_keys)
    for path, added in by_file(drafted.undeclared, state.companies, growing.folder / "imported.yaml").items():
        Page(path).write(added, drafted.names)
    files = growing.files
    if recorded_by_then:
        growing.run()

    done = growing.run()

    assert growing.ids == ids
    assert growing.files == files
    assert len(done.arrivals) == (0 if recorded_by_then else 2)
    assert growing.changes == []
    assert writes(growing.emulator) == []


def test_a_policy_is_of_companies(growing: Growing) -> None:
    """By their tags, or the tenant's."""
    found = discovery.find(growing.reader, Filters())

    assert ignored_companies(found, UnmanagedPolicy()) == set()
    assert ignored_companies(found, UnmanagedPolicy(OnUnmanaged.IGNORE)) == {growing.acme, growing.bolt}
    by_tag = {"segment=demo": OnUnmanaged.REPORT}
    assert ignored_companies(found, UnmanagedPolicy(OnUnmanaged.IGNORE, by_tag)) == {growing.acme}


def test_a_tenant_that_never_rests_is_brought_in_once(growing: Growing) -> None:
    """Connections come and go between the steps of each run: nothing is lost, nothing doubled."""
    random = Random(12)  # noqa: S311  no secret
    codat = growing.emulator
    there: dict[str, str] = {}
    proposed: list[str] = []
    companies = [growing.acme, growing.bolt]

    def live() -> None:
        """Do what customers do."""
        if random.random() < 0.3:
            companies.append(str(codat.add_company(random.choice(["Curb", "Dune", "Eve"]))["id"]))
        company = random.choice(companies)
        there[connected(codat, company, random.choice(["gbol", "suuo", "fztf"]))] = company
        waiting = there.keys() - growing.ids.values()
        if random.random() < 0.3 and waiting:
            gone = random.choice(sorted(waiting))
            codat.delete_connection(gone)
            del there[gone]

    failed = 0
    for _ in range(25):
        live()
        before = (growing.files, growing.ids)
        try:
            done = growing.run(tell=lambda _: live())
        except ImportFailed:
            failed += 1
            assert (growing.files, growing.ids) == before
        else:
            proposed += [each.live.id for each in done.arrivals]
        assert writes(codat) == []
    proposed += [each.live.id for each in growing.run().arrivals]

    assert failed
    assert len(proposed) == len(set(proposed)) == len(growing.ids)
    assert set(growing.ids.values()) == set(proposed) == there.keys()
    by_address = {each.address: each for each in load(growing.folder)}
    assert {by_address[Address(a)].company_id for a in growing.ids} == set(there.values())
    assert {a: by_address[Address(a)].company_id for a in growing.ids} == {
        a: there[i] for a, i in growing.ids.items()
    }
    assert growing.changes == []


def test_for_a_pull_request_only_the_files_are_written(growing: Growing) -> None:
    """The stack stays as it is: on the branch that is applied, nothing of it is declared yet."""
    new = growing.emulator.connect(growing.acme, "gbol", "Linked")
    before = growing.stack.export()

    drafted = growing.run(files_only=True)

    assert [each.address for each in drafted.undeclared] == ["acme/xero"]
    assert growing.stack.export() == before
    assert growing.stack.calls == []
    assert f"connectionId: {new['id']}".encode() in growing.files["a.yaml"]
    plan = Planner(growing.reader, growing.settings, []).plan(load(growing.folder))
    assert [(each.address, each.action) for each in plan.changes] == [("acme/xero", Action.ADOPT)]
    written = growing.files
    assert growing.run(files_only=True).undeclared == ()
    assert growing.files == written


def test_files_that_cannot_be_written_are_left_as_they_were(growing: Growing) -> None:
    """All of them, if one can't be."""
    for company in (growing.acme, growing.bolt):
        growing.emulator.connect(company, "gbol", "Linked")
    before = growing.files

    def meddle(told: str) -> None:
        if told.endswith("b.yaml"):
            growing.write("b.yaml", f"{HEAD}  bee: {{id: {growing.bolt}, connections: {{}}}}\n# theirs\n")

    with pytest.raises(ImportFailed, match=r"b\.yaml was changed meanwhile"):
        growing.run(files_only=True, tell=meddle)
    assert growing.files["a.yaml"] == before["a.yaml"]
    assert growing.files["b.yaml"].endswith(b"# theirs\n")
