"""What is registered directly is what the SDK's class registers; here without an engine."""

from __future__ import annotations

import json

import pytest

from tests.unit.program.harness import told_by

HARNESS = """
import asyncio, json, sys
import grpc, pulumi
from google.protobuf import json_format
from pulumi.runtime import mocks
from pulumi.runtime.proto import resource_pb2

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return args.name, {**args.inputs, "status": "PendingAuth", **OUTPUTS}

    def call(self, args):
        return {"outputs": {}}

class Recording(mocks.MockMonitor):
    sent = {}

    def RegisterResource(self, request):
        copy = resource_pb2.RegisterResourceRequest()
        copy.CopyFrom(request)
        for field in ("stackTrace", "sourcePosition"):
            copy.ClearField(field)
        self.sent[request.name] = json_format.MessageToDict(copy)
        if FAIL == request.name:
            raise Down()
        answer = super().RegisterResource(request)
        if RESULT == request.name:
            answer.result = resource_pb2.Result.FAIL
        return answer

class Down(grpc.RpcError):
    def code(self):
        return grpc.StatusCode.UNKNOWN
    def details(self):
        return "it failed"

OUTPUTS, FAIL, RESULT, PREVIEW = json.loads(sys.argv[1])
pulumi.runtime.set_mocks(
    Mocks(), project="shop", stack="dev", preview=PREVIEW, monitor=Recording(Mocks())
)
from codat_iac import Connection
from codat_iac.planning.slot_description import SlotDescription
from codat_iac.program.registration import Registration, known, register
from tests.support.builders import a_desired, a_prior
from codat_iac.model.connection import OnExisting, OnRemoval, Status
shown = {}

def show(statuses):
    async def wait():
        shown["statuses"] = await statuses
    asyncio.ensure_future(wait())
    known(statuses).apply(lambda found: shown.update(known=found), run_with_unknowns=False)

@pulumi.runtime.test
def program():
    exec(sys.argv[2])

try:
    program()
except Exception as error:
    shown["error"] = str(error)
print(json.dumps({**shown, "sent": Recording.sent}))
"""


def run(
    program: str,
    outputs: dict[str, str] | None = None,
    *,
    fail: str = "",
    result: str = "",
    preview: bool = False,
) -> dict[str, object]:
    """Run a program: what it sent and showed."""
    return told_by(HARNESS, json.dumps([outputs or {}, fail, result, preview]), program)


PLAIN = "desired, origin, protect = a_desired(), None, False\n"
FULL = """\
desired = a_desired(
    status=Status.UNLINKED, on_removal=OnRemoval.DELETE, on_existing=OnExisting.ADOPT,
    connection_id="00000000-0000-0000-0000-000000000007",
)
urn = "urn:pulumi:dev::shop::a:b:C$pulumi-python:dynamic/codat:Connection::acme/old"
origin, protect = a_prior(urn=urn), True
"""
PROTECTED = "desired, origin, protect = a_desired(protect=True), None, False\n"
DIRECTLY = "register([Registration(desired, SlotDescription(comers=1, rank=0), origin, protect)])"
BY_THE_CLASS = """
Connection(
    desired.address, company_id=desired.company_id, platform_key=desired.platform_key, status=desired.status,
    on_removal=desired.on_removal, on_existing=desired.on_existing, connection_id=desired.connection_id,
    opts=pulumi.ResourceOptions(aliases=[origin.urn] if origin else None, protect=desired.protect or protect),
)
"""


@pytest.mark.parametrize("declared", [PLAIN, FULL, PROTECTED], ids=["plain", "full", "protected"])
def test_the_same_is_sent_as_by_the_sdk(declared: str) -> None:
    """Field by field, but for where in the program it was declared, and for what only a file can say."""
    directly = run(declared + DIRECTLY)["sent"]
    by_the_class = run(declared + BY_THE_CLASS)["sent"]

    for sent in (directly, by_the_class):
        assert isinstance(sent, dict)
        sent.pop("shop-dev")
        (request,) = sent.values()
        assert isinstance(request["object"].pop("beside"), str)
        request["object"].pop("protect", None)
        request["propertyDependencies"].pop("protect", None)
        assert not request.pop("hooks", None)
    assert directly == by_the_class


TWO = """
statuses = register([
    Registration(a_desired("acme/a"), SlotDescription()), Registration(a_desired("acme/b"), SlotDescription())
])
show(statuses)
"""


def test_statuses_come_in_order() -> None:
    """As Codat reports them, for the stack's outputs."""
    shown = run(TWO)

    assert shown["statuses"] == shown["known"] == ["PendingAuth", "PendingAuth"]


def test_a_preview_knows_no_status_of_what_is_to_be_created() -> None:
    """It answers with the inputs, and the desired status is no promise."""
    shown = run(TWO, preview=True)

    assert shown["statuses"] == [None, None]
    assert "known" not in shown
    assert run(TWO, {"created": "2026-11-24"}, preview=True)["known"] == ["PendingAuth", "PendingAuth"]


def test_a_step_that_failed_leaves_its_status_unknown() -> None:
    """With `--continue-on-error` the program goes on."""
    shown = run(TWO, result="acme/b")

    assert shown["statuses"] == ["PendingAuth", None]
    assert "known" not in shown


def test_an_error_of_the_engine_ends_the_program() -> None:
    """With the engine's own words, as the SDK's classes do; nothing hangs."""
    shown = run(TWO, fail="acme/a")

    assert shown["error"] == "it failed"
    assert shown["statuses"] == [None, None]
