"""What a program reads of its own stack; `test_connection.py` and the engine's tests read it whole."""

from __future__ import annotations

import ast
import subprocess
import sys

import pulumi
import pytest

from codat_iac.program.placement import refuse_shard

PROGRAM = """
import grpc, pulumi
from google.protobuf import json_format, struct_pb2

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args): ...
    def call(self, args): ...

pulumi.runtime.set_mocks(Mocks(), project="shop", stack="dev", organization="organization")
from codat_iac.program import stack_record
from codat_iac.model.connection import RESOURCE_TYPE

class Down(grpc.RpcError):
    def details(self):
        return "connection\\n  refused"

class Monitor:
    def __init__(self, error=None, outputs=None):
        self.error, self.outputs = error, outputs

    def Invoke(self, request):
        if self.error:
            raise self.error
        answer = struct_pb2.Struct()
        answer.update({"outputs": self.outputs})
        return type("Answer", (), {"return": answer})()

for error in (Down(), KeyError("a bug")):
    try:
        stack_record._read_outputs(Monitor(error))
    except (pulumi.RunError, KeyError) as raised:
        print(raised)
bag = {"address": "acme/a", "protect": True, "odd": [1], "companyId": {"value": "x"}, "none": None}
found = {"u": {"type": RESOURCE_TYPE, "outputs": bag}, "v": {"type": "x"}}
print(stack_record._read_outputs(Monitor(outputs=found)))
"""


def test_what_cant_be_read_is_one_line_and_what_can_is_what_is_ours() -> None:
    """Of the answer only our own resources are unpacked, and of these what a connection may hold."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=False
    )

    refusal, bug, ours = done.stdout.splitlines()
    assert refusal == (
        "the record of stack organization/shop/dev can't be read (connection refused), so what is renamed"
        " can't be told from what is new; nothing is done; run again"
    )
    assert bug == "'a bug'"
    assert ast.literal_eval(ours) == {
        "u": {
            "type": "pulumi-python:dynamic/codat:Connection",
            "outputs": {
                "address": "acme/a",
                "companyId": {"value": "x"},
                "none": None,
                "odd": None,
                "protect": True,
            },
        }
    }


MOCKED = """
import threading, pulumi

class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args): ...
    def call(self, args):
        print(args.token, threading.current_thread() is threading.main_thread())
        return {"outputs": {}}

pulumi.runtime.set_mocks(Mocks(), project="shop", stack="dev", organization="organization")
from codat_iac.program import stack_record

print(stack_record.ask()())
"""


def test_mocks_are_asked_in_the_thread_that_they_are_for() -> None:
    """The SDK makes an event loop there, which in another thread nobody closes."""
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", MOCKED],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.splitlines() == [
        "pulumi:pulumi:readStackResourceOutputs True",
        "StackRecord(connections=(), marker='')",
    ]


def test_a_program_of_ones_own_has_no_shards() -> None:
    """It would see a part of the whole, and take it for all."""
    refuse_shard("")
    with pytest.raises(pulumi.RunError, match="was set up as a shard of a desired state"):
        refuse_shard("2/5 moving")
