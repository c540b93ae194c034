"""`codat_iac.Connection` in a program under Pulumi's own test mocks, as users test theirs.

Each program runs in a process of its own: the mocks are set for a whole process.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from codat_iac.model.connection import RESOURCE_TYPE
from codat_iac.model.record import plain
from tests.support.builders import COMPANY, an_id
from tests.support.worlds import COMPONENT, a_urn
from tests.unit.program.harness import told_by

HARNESS = """
import json, sys
import pulumi
from pulumi import Output, ResourceOptions

RECORD = json.loads(sys.argv[1])

class Mocks(pulumi.runtime.Mocks):
    registered = {}

    def new_resource(self, args):
        self.registered[args.name] = args.inputs
        return str(len(self.registered)), {**args.inputs, "status": "Linked"}

    def call(self, args):
        if args.token != "pulumi:pulumi:readStackResourceOutputs" or RECORD is None:
            raise LookupError(args.token)
        return {"outputs": RECORD}

pulumi.runtime.set_mocks(Mocks(), project="shop", stack="dev")
from codat_iac import Connection

COMPANY = sys.argv[2]
shown = []

def make(address, **rest):
    return Connection(address, **{"company_id": COMPANY, "platform_key": "suuo", **rest})

@pulumi.runtime.test
def program():
    return eval(sys.argv[3])

try:
    program()
except pulumi.RunError as error:
    print(json.dumps({"refused": str(error)}))
else:
    print(json.dumps({"registered": Mocks.registered, "shown": shown}))
"""


def recorded(urn: str, number: int) -> dict[str, Any]:
    """One connection, as the engine tells a program of it."""
    bag = {
        "address": urn.rpartition("::")[2],
        "companyId": COMPANY,
        "platformKey": "suuo",
        "connectionId": an_id(number),
        "status": "Linked",
    }
    return {urn: {"type": RESOURCE_TYPE, "outputs": bag}}


def run(program: str, record: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run a program, which is one expression: what it registered and showed, or why it was refused."""
    return told_by(HARNESS, json.dumps(record), COMPANY, program)


def test_a_program_under_mocks_needs_no_stack() -> None:
    """What its mocks don't know of is an empty stack; inputs reach the resource as they are."""
    inputs = run(f"make('acme/a', on_removal='delete', connection_id='{an_id(7)}')")["registered"]["acme/a"]

    assert (inputs["address"], inputs["companyId"], inputs["platformKey"]) == ("acme/a", COMPANY, "suuo")
    assert (inputs["onRemoval"], inputs["connectionId"]) == ("delete", an_id(7))


def test_outputs_of_a_connection_have_pythons_names() -> None:
    """And the id is one of them, under Codat's name."""
    made = f"make('acme/a', connection_id='{an_id(7)}')"
    program = f"(lambda c: Output.all(c.status, c.platform_key, c.connection_id).apply(shown.append))({made})"

    assert run(program)["shown"] == [["Linked", "suuo", an_id(7)]]


def test_inputs_may_be_outputs_and_secrets() -> None:
    """Their company and platform are described as soon as they are known."""
    program = "make('acme/a', company_id=Output.secret(COMPANY), platform_key=Output.from_input('suuo'))"

    for record in (None, recorded(a_urn("acme/a"), 1), recorded(a_urn("acme/a", COMPONENT), 1)):
        assert plain(run(program, record)["registered"]["acme/a"]["companyId"]) == COMPANY


@pytest.mark.parametrize("company_id", ["COMPANY", "COMPANY.upper()", "Output.from_input(COMPANY)"])
def test_a_new_one_beside_one_that_is_not_declared_is_refused_with_its_ways(company_id: str) -> None:
    """Also if its company is only known later, and however it is written."""
    said = run(f"make('acme/b', company_id={company_id})", recorded(a_urn("acme/a"), 1))["refused"]

    assert said == (
        "acme/b is new, and acme/a of the same company and platform is recorded and not declared yet, so it"
        f" may be that one renamed. If it is, pass opts=ResourceOptions(aliases=['{a_urn('acme/a')}']) or"
        f" connection_id='{an_id(1)}'; if it is one more, declare acme/a before it, or pass"
        " siblings=['acme/a']"
    )


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("[make('acme/a'), make('acme/b')]", id="order"),
        pytest.param("[make('acme/b', siblings=['acme/a']), make('acme/a')]", id="siblings"),
        pytest.param(f"make('acme/b', connection_id='{an_id(1)}')", id="its id"),
        pytest.param(f"make('acme/b', connection_id='{an_id(9)}')", id="another id"),
        pytest.param("make('acme/b', platform_key='fztf')", id="another platform"),
        pytest.param("make('acme/a', opts=ResourceOptions(protect=True))", id="itself"),
    ],
)
def test_what_says_what_it_is_is_declared(program: str) -> None:
    """Each way out that the refusal names, and what needs none."""
    other = {"urn:pulumi:dev::shop::x:y:z::other": {"type": "x:y:z", "outputs": {}}}

    registered = run(program, {**recorded(a_urn("acme/a", COMPONENT), 1), **other})["registered"]

    assert set(registered) == {"acme/a", "acme/b"} & set(program.replace('"', "'").split("'"))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        pytest.param("make('acme')", "'acme' is not an address such as acme/ledger", id="name"),
        pytest.param(
            "[make('acme/a'), make('acme/a')]",
            "acme/a is declared twice; an address is the name of one connection",
            id="twice",
        ),
        pytest.param(
            "make('acme/a', opts=ResourceOptions(import_='x'))",
            "acme/a: a connection can't be imported by `import_`; pass `connection_id=` to take over one that"
            " exists, or bring it into the stack with `codat-iac import`",
            id="import_",
        ),
    ],
)
def test_what_cant_be_declared_is_one_line(program: str, said: str) -> None:
    """A mistake in a program names the address, and what to write instead."""
    assert run(program)["refused"] == said


TWICE = {**recorded(a_urn("acme/a"), 1), **recorded(a_urn("acme/a", COMPONENT), 2)}
"""The version before let one address be declared below two parents."""


def test_an_alias_that_leads_nowhere_is_no_evidence() -> None:
    """A mistyped one would make a second connection, and end the authorisation of the first."""
    record = recorded(a_urn("acme/a"), 1)
    for alias in (repr(a_urn("acme/aa")), "pulumi.Alias(name='acme/aa')"):
        said = run(f"make('acme/b', opts=ResourceOptions(aliases=[{alias}]))", record)["refused"]
        assert said.startswith("acme/b is new, and acme/a of the same company and platform is recorded")


@pytest.mark.parametrize("alias", [repr(a_urn("acme/a")), "pulumi.Alias(name='acme/a')"])
def test_an_alias_that_leads_to_one_is_believed(alias: str) -> None:
    """As a URN, or by its name."""
    outcome = run(f"make('acme/b', opts=ResourceOptions(aliases=[{alias}]))", recorded(a_urn("acme/a"), 1))

    assert set(outcome["registered"]) == {"acme/b"}


def test_of_two_recorded_under_one_address_one_has_to_go() -> None:
    """The way that the refusal names works."""
    said = run("make('acme/a')", TWICE)["refused"]
    assert said == (
        f"acme/a is recorded 2 times, as {a_urn('acme/a')} and {a_urn('acme/a', COMPONENT)}; take the"
        " wrong one out of the state, which calls nothing:"
        f" pulumi state delete '{a_urn('acme/a', COMPONENT)}' --yes"
    )


def test_a_name_of_before_is_given_up_to_who_has_it_now() -> None:
    """`pulumi state rename` left what was declared: both names may be declared, in one order."""
    record = recorded(a_urn("acme/books"), 1)
    record[a_urn("acme/books")]["outputs"]["address"] = "acme/ledger"
    assert set(run("make('acme/ledger')", record)["registered"]) == {"acme/ledger"}

    both = run("[make('acme/books'), make('acme/ledger')]", record)
    assert set(both["registered"]) == {"acme/books", "acme/ledger"}

    said = run("[make('acme/ledger'), make('acme/books')]", record)["refused"]
    assert said == (
        "acme/books is recorded itself, and acme/ledger, which is declared before it, would go on with that;"
        " declare acme/books before acme/ledger"
    )


def test_what_is_recorded_under_an_address_comes_before_any_alias() -> None:
    """An alias that was left in from an earlier rename is no dead end."""
    record = {**recorded(a_urn("acme/old"), 1), **recorded(a_urn("acme/new"), 2)}
    new = "make('acme/new', opts=ResourceOptions(aliases=[pulumi.Alias(name='acme/old')]))"

    for program in (f"[{new}, make('acme/old')]", f"[make('acme/old'), {new}]"):
        assert set(run(program, record)["registered"]) == {"acme/new", "acme/old"}
    said = run(f"[{new}, make('acme/older')]", record)["refused"]
    assert said.startswith("acme/older is new, and acme/old of the same company and platform is recorded")


def aliased(address: str, name: str, **rest: str) -> str:
    """A connection that has had another name, as a program declares it."""
    options = "".join(f", {key}={value!r}" for key, value in rest.items())
    return f"make({address!r}, opts=ResourceOptions(aliases=[pulumi.Alias(name={name!r})]){options})"


def test_names_are_passed_on_one_after_the_other() -> None:
    """`c` gets what `b` has, and `b` what `a` has: the engine can't, in either order; the way out works."""
    record = {**recorded(a_urn("acme/a"), 1), **recorded(a_urn("acme/b"), 2)}
    b, c = aliased("acme/b", "acme/a"), aliased("acme/c", "acme/b")
    said = (
        "acme/c would go on with what is recorded as acme/b, and so would acme/b; names are passed on one"
        " after the other: first a run with acme/c and without acme/b, with all else as it is recorded, then"
        " one with acme/b too"
    )

    assert run(f"[{c}, {b}]", record)["refused"] == said
    assert run(f"[{b}, {c}]", record)["refused"] == said
    by_id = f"make('acme/c', connection_id='{an_id(2)}')"
    assert run(f"[{by_id}, make('acme/b')]", record)["refused"] == said

    first = run(f"[make('acme/a'), {c}]", record)
    assert set(first["registered"]) == {"acme/a", "acme/c"}
    after = {**recorded(a_urn("acme/a"), 1), **recorded(a_urn("acme/c"), 2)}
    assert set(run(f"[{b}, {c}]", after)["registered"]) == {"acme/b", "acme/c"}


def test_a_swap_takes_a_third_name() -> None:
    """An alias of what is recorded itself has no effect, so its id would be refused later, less clearly."""
    record = {**recorded(a_urn("acme/a"), 1), **recorded(a_urn("acme/b"), 2)}
    a, b = (
        aliased("acme/a", "acme/b", connection_id=an_id(2)),
        aliased("acme/b", "acme/a", connection_id=an_id(1)),
    )

    assert run(f"[{a}, {b}]", record)["refused"] == (
        "acme/a is recorded itself, and its connection_id is that of acme/b; names are passed on one after"
        " the other: first a run that declares what is recorded as acme/a under a name of its own, with an"
        " alias, and without acme/a, then one with acme/a too"
    )
    third = aliased("acme/third", "acme/a")
    assert set(run(f"[{third}, make('acme/b')]", record)["registered"]) == {"acme/third", "acme/b"}
    after = {**recorded(a_urn("acme/third"), 1), **recorded(a_urn("acme/b"), 2)}
    assert set(run(f"[{third}, {aliased('acme/a', 'acme/b')}]", after)["registered"]) == {
        "acme/third",
        "acme/a",
    }


@pytest.mark.parametrize("platform_key", ["'fztf'", "Output.from_input('fztf')"])
def test_an_alias_is_not_passed_over_for_what_would_be_replaced(platform_key: str) -> None:
    """`b` is to be `a`, which has another platform: both authorisations would end."""
    b = recorded(a_urn("acme/b"), 2)
    b[a_urn("acme/b")]["outputs"]["platformKey"] = "fztf"
    record = {**recorded(a_urn("acme/a"), 1), **b}
    options = "opts=ResourceOptions(aliases=[pulumi.Alias(name='acme/b')])"
    program = f"make('acme/a', platform_key={platform_key}, {options})"

    assert run(program, record)["refused"].startswith(
        "acme/a is recorded itself, and its alias is that of acme/b; names are passed on one after the other:"
    )
    third = f"make('acme/third', {options.replace('/b', '/a')})"
    assert set(run(f"[{third}, {program}]", b)["registered"]) == {"acme/third", "acme/a"}


def test_an_alias_of_another_stack_is_no_evidence() -> None:
    """Only the engine's own stack is known."""
    alias = "pulumi.Alias(name='acme/a', stack='other')"

    said = run(f"make('acme/b', opts=ResourceOptions(aliases=[{alias}]))", recorded(a_urn("acme/a"), 1))

    assert said["refused"].startswith(
        "acme/b is new, and acme/a of the same company and platform is recorded"
    )


def test_a_sibling_that_never_comes_is_no_sibling() -> None:
    """It was said that it is declared further down."""
    said = run("make('acme/b', siblings=['acme/a'])", recorded(a_urn("acme/a"), 1))["refused"]

    assert said == (
        "acme/b names acme/a as siblings, which is recorded, and which the program doesn't declare; if acme/b"
        f" is its new name, pass opts=ResourceOptions(aliases=['{a_urn('acme/a')}']); if it is to go, let it"
        " go in a run of its own"
    )


def test_what_another_address_names_is_described() -> None:
    """Also if that is declared further down: a nameless one must not take it."""
    program = f"[make('acme/a'), make('acme/b', connection_id='{an_id(7)}')]"

    registered = run(program)["registered"]

    assert json.loads(registered["acme/a"]["beside"])["named"] == [an_id(7)]
    assert "named" not in json.loads(registered["acme/b"]["beside"])


def test_what_is_named_in_another_company_is_not_described() -> None:
    """With thousands of ids the descriptions would else grow with the square of their number."""
    other, unknown = f"company_id='{an_id(3)}'", f"company_id=Output.from_input('{an_id(3)}')"
    program = (
        f"[make('acme/a'), make('beta/b', {other}, connection_id='{an_id(7)}'),"
        f" make('beta/c', {unknown}, connection_id='{an_id(8)}')]"
    )

    registered = run(program)["registered"]

    assert json.loads(registered["acme/a"]["beside"])["named"] == [an_id(8)]


def test_a_program_of_ones_own_is_not_sharded() -> None:
    """It declares in each stack what it wants there: the setting would promise more than it does."""
    found = run("pulumi.runtime.set_config('codat:shard', '1/2') or make('acme/a')")

    assert found["refused"].startswith("codat:shard is for the stock program (`codat_iac.program.main`);")
