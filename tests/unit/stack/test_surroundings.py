"""The environment of what we start: what would break it is left out or completed, the rest is the user's."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

import pytest

from codat_iac.stack.engine import tidy_this_process, version_of
from codat_iac.stack.engine.surroundings import tidy

HOME = {"HOME": "/home/jo"}
PROXY = "http://proxy.example:3128"
ALL = "localhost,127.0.0.1,::1"


@pytest.mark.parametrize(
    ("proxies", "added"),
    [
        ({}, {}),
        ({"https_proxy": ""}, {}),
        ({"https_proxy": PROXY}, {"no_proxy": ALL, "NO_PROXY": ALL, "no_grpc_proxy": ALL}),
        ({"ALL_PROXY": PROXY}, {"no_proxy": ALL, "NO_PROXY": ALL, "no_grpc_proxy": ALL}),
        (
            {"grpc_proxy": PROXY, "NO_PROXY": "a.example"},
            {"no_proxy": f"a.example,{ALL}", "NO_PROXY": f"a.example,{ALL}", "no_grpc_proxy": ALL},
        ),
        (
            {"http_proxy": PROXY, "no_proxy": " 127.0.0.1, ,b.example", "NO_PROXY": "a.example"},
            {
                "no_proxy": "127.0.0.1,b.example,localhost,::1",
                "NO_PROXY": f"a.example,{ALL}",
                "no_grpc_proxy": "127.0.0.1,b.example,localhost,::1",
            },
        ),
        (
            {"HTTPS_PROXY": PROXY, "no_proxy": "*"},
            {"no_proxy": "*", "NO_PROXY": "*", "no_grpc_proxy": f"*,{ALL}"},
        ),
        (
            {"https_proxy": PROXY, "no_proxy": "a.example", "no_grpc_proxy": ""},
            {"no_proxy": f"a.example,{ALL}", "NO_PROXY": f"a.example,{ALL}", "no_grpc_proxy": ALL},
        ),
    ],
)
def test_loopback_never_goes_through_a_proxy(proxies: Mapping[str, str], added: Mapping[str, str]) -> None:
    """The exceptions that are there stay, in each spelling, as each program would read them."""
    assert tidy({**HOME, **proxies}) == {**HOME, **proxies, **added}


def test_options_of_pulumi_are_left_out_and_its_settings_stay() -> None:
    """The options are meant for one command of the user's, the settings for each."""
    settings = {"PULUMI_BACKEND_URL": "file:///state", "PULUMI_CONFIG_PASSPHRASE": "", "PULUMI_STACK": "dev"}
    options = dict.fromkeys(["PULUMI_OPTION_TARGET", "PULUMI_RUNTIME_VIRTUALENV", "PULUMI_OPTION_"], "x")

    assert tidy({**HOME, **settings, **options}) == {**HOME, **settings}


@pytest.mark.parametrize("base", [{}, {"HOME": ""}])
def test_a_home_that_is_not_set_is_the_one_of_the_passwd_entry(base: Mapping[str, str]) -> None:
    """As for Pulumi."""
    assert tidy(base) == {"HOME": pwd.getpwuid(os.getuid()).pw_dir}


def test_this_process_is_tidied_for_the_libraries_that_read_its_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """gRPC, for one, reads it each time that it connects."""
    monkeypatch.setenv("PULUMI_OPTION_TARGET", "x")
    monkeypatch.setenv("https_proxy", PROXY)
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.setenv(name, "a.example")
    tidied = tidy(os.environ)

    tidy_this_process()

    assert dict(os.environ) == tidied
    assert tidied["no_grpc_proxy"] == f"a.example,{ALL}"
    assert "PULUMI_OPTION_TARGET" not in os.environ


def test_what_the_user_set_for_a_pulumi_of_their_own_breaks_no_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for in an environment of ours."""
    path = tmp_path / "pulumi"
    path.write_text('#!/bin/sh\n[ -z "$PULUMI_OPTION_CWD" ] && echo v3.259.0\n')
    path.chmod(0o755)
    monkeypatch.setenv("PULUMI_OPTION_CWD", "/nowhere")

    assert str(version_of(path)) == "3.259.0"
