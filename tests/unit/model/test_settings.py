"""The settings: the environment first, then the config, but for what is meant for one run; no nonsense."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from codat_iac.model import settings
from codat_iac.model.errors import ConfigError
from codat_iac.model.settings import Settings
from codat_iac.model.shard import Shard

KEY = {"CODAT_API_KEY": "from-the-environment"}


def read(environment: Mapping[str, str], config: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from two plain mappings."""
    return settings.read(environment, (config or {}).get)


def test_the_defaults_are_codats() -> None:
    """A key is all that must be set."""
    assert read(KEY) == Settings(
        api_key="from-the-environment",
        base_url="https://api.codat.io",
        max_losses=None,
        accept_missing=False,
        requests_per_minute=1000,
    )


@pytest.mark.parametrize(
    ("variable", "key", "text", "name", "value"),
    [
        ("CODAT_API_KEY", "apiKey", " k \n", "api_key", "k"),
        (
            "CODAT_BASE_URL",
            "baseUrl",
            "https://proxy.example/codat/",
            "base_url",
            "https://proxy.example/codat",
        ),
        ("CODAT_REQUESTS_PER_MINUTE", "requestsPerMinute", "600", "requests_per_minute", 600),
        ("CODAT_REQUESTS_PER_MINUTE", "requestsPerMinute", "0", "requests_per_minute", 0),
    ],
)
@pytest.mark.parametrize("place", ["environment", "config"])
def test_a_setting_is_read_from_either_place(
    place: str, variable: str, key: str, text: str, name: str, value: Any
) -> None:
    """The same words mean the same in both."""
    chosen = read({**KEY, variable: text}) if place == "environment" else read({}, {"apiKey": "c", key: text})

    assert getattr(chosen, name) == value


@pytest.mark.parametrize(
    ("variable", "text", "name", "value"),
    [
        ("CODAT_MAX_LOSSES", "0", "max_losses", 0),
        ("CODAT_MAX_LOSSES", " 25 ", "max_losses", 25),
        ("CODAT_ACCEPT_MISSING", "TRUE", "accept_missing", True),
        ("CODAT_ACCEPT_MISSING", "1", "accept_missing", True),
        ("CODAT_MAX_CREATES", "0", "max_creates", 0),
        ("CODAT_MAX_CREATES", "", "max_creates", None),
        ("CODAT_ACCEPT_LEAVERS", "true", "accept_leavers", True),
        ("CODAT_ACCEPT_LEAVERS", "", "accept_leavers", False),
        ("CODAT_ACCEPT_MISSING", " yes", "accept_missing", True),
        ("CODAT_ACCEPT_MISSING", "no", "accept_missing", False),
    ],
)
def test_what_lifts_a_limit_is_read_from_the_environment(
    variable: str, text: str, name: str, value: Any
) -> None:
    """It is meant for one run, as the environment is."""
    assert getattr(read({**KEY, variable: text}), name) == value


def test_what_lifts_a_limit_is_not_read_from_the_config() -> None:
    """Whoever reads the settings without `check_config` before gets the safe ones."""
    chosen = read(KEY, {"maxLosses": "9", "acceptMissing": "true"})

    assert (chosen.max_losses, chosen.accept_missing) == (None, False)


RUN, MACHINE = "it would outlive the run that it is meant for", "it belongs to this machine alone"


@pytest.mark.parametrize(
    ("key", "variable", "why"),
    [
        ("maxLosses", "CODAT_MAX_LOSSES", RUN),
        ("acceptMissing", "CODAT_ACCEPT_MISSING", RUN),
        ("maxCreates", "CODAT_MAX_CREATES", RUN),
        ("acceptLeavers", "CODAT_ACCEPT_LEAVERS", RUN),
        ("clientCert", "CODAT_CLIENT_CERT", MACHINE),
        ("clientKey", "CODAT_CLIENT_KEY", MACHINE),
        ("clientName", "CODAT_CLIENT_NAME", MACHINE),
    ],
)
@pytest.mark.parametrize("text", ["", "0", "false", "7"])
def test_what_must_not_stand_in_the_config_is_refused_there(
    key: str, variable: str, why: str, text: str
) -> None:
    """Whatever its value, since nobody reads it; the error says how to take it out, and what to set."""
    config = {"apiKey": "k", key: text}
    with pytest.raises(ConfigError) as caught:
        settings.check_config(config.__contains__)

    assert str(caught.value) == (
        f"codat:{key} is not read from the stack's config, since {why}; `pulumi config rm codat:{key}`, and"
        f" set {variable} in the environment"
    )


CERTIFICATE = {
    "CODAT_CLIENT_CERT": "/run/client.pem",
    "CODAT_CLIENT_KEY": " /run/client.key\n",
    "CODAT_CLIENT_NAME": "6c2a5f0e-8a6f-4a3e-9a51-0f3f2b1c7d11",
}


def test_a_client_certificate_is_read_from_the_environment_alone() -> None:
    """Its three settings together; the name shows in no text."""
    chosen = read(KEY | CERTIFICATE)

    assert chosen.client_cert == ("/run/client.pem", "/run/client.key")
    assert chosen.client_name == CERTIFICATE["CODAT_CLIENT_NAME"]
    assert CERTIFICATE["CODAT_CLIENT_NAME"] not in repr(chosen)
    assert read(KEY, {"clientCert": "/x", "clientKey": "/x", "clientName": "x"}).client_cert is None


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("missing", CERTIFICATE)
def test_a_part_of_a_client_certificate_is_refused(missing: str, blank: str) -> None:
    """The error names the part that is missing."""
    with pytest.raises(ConfigError) as caught:
        read(KEY | CERTIFICATE | {missing: blank})

    assert str(caught.value) == (
        f"{missing} is not set, and CODAT_CLIENT_CERT, CODAT_CLIENT_KEY, CODAT_CLIENT_NAME belong together;"
        " set all of them"
    )


@pytest.mark.parametrize("variable", ["CODAT_CLIENT_CERT", "CODAT_CLIENT_KEY"])
def test_a_path_of_a_client_certificate_is_whole(variable: str) -> None:
    """The provider is started in another folder than the command line."""
    with pytest.raises(ConfigError) as caught:
        read(KEY | CERTIFICATE | {variable: "keys/x.pem"})

    assert str(caught.value) == (
        f"{variable} is 'keys/x.pem'; write the whole path from / on, since Pulumi works in other folders"
    )


def test_a_config_of_what_may_outlive_a_run_is_fine() -> None:
    """All the other settings may stand there."""
    settings.check_config({"apiKey", "baseUrl", "requestsPerMinute", "desired"}.__contains__)


def test_the_environment_wins() -> None:
    """Refresh and destroy use the recorded config, where an old key lives on."""
    chosen = read(
        {**KEY, "CODAT_BASE_URL": "https://new.example", "CODAT_REQUESTS_PER_MINUTE": "1"},
        {"apiKey": "old", "baseUrl": "https://old.example", "requestsPerMinute": "9"},
    )

    assert (chosen.api_key, chosen.base_url, chosen.requests_per_minute) == (
        "from-the-environment",
        "https://new.example",
        1,
    )


@pytest.mark.parametrize("blank", ["", "  \t"])
def test_a_blank_variable_counts_as_unset(blank: str) -> None:
    """CI systems set what they have no value for to nothing."""
    chosen = read(
        {
            "CODAT_API_KEY": blank,
            "CODAT_REQUESTS_PER_MINUTE": blank,
            "CODAT_MAX_LOSSES": blank,
            "CODAT_ACCEPT_MISSING": blank,
        },
        {"apiKey": "from-the-stack", "requestsPerMinute": "3"},
    )

    assert (chosen.api_key, chosen.requests_per_minute) == ("from-the-stack", 3)
    assert (chosen.max_losses, chosen.accept_missing) == (None, False)


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        pytest.param({}, "no API key: set CODAT_API_KEY", id="no key"),
        pytest.param({"CODAT_API_KEY": " "}, "no API key", id="a blank key"),
        pytest.param(
            {**KEY, "CODAT_MAX_LOSSES": "-1"}, "^CODAT_MAX_LOSSES is '-1'; it", id="a negative number"
        ),
        pytest.param({**KEY, "CODAT_MAX_CREATES": "many"}, "^CODAT_MAX_CREATES is 'many'", id="creates"),
        pytest.param({**KEY, "CODAT_ACCEPT_LEAVERS": "2"}, "^CODAT_ACCEPT_LEAVERS is '2'", id="leavers"),
        pytest.param({**KEY, "CODAT_MAX_LOSSES": "many"}, "it takes a number such as 10", id="a word"),
        pytest.param({**KEY, "CODAT_MAX_LOSSES": "²"}, "it takes a number", id="a superscript"),
        pytest.param({**KEY, "CODAT_MAX_LOSSES": "9" * 5000}, "it takes a number", id="too many digits"),
        pytest.param(
            {**KEY, "CODAT_REQUESTS_PER_MINUTE": "1.5"},
            r"^CODAT_REQUESTS_PER_MINUTE \(or codat:requestsPerMinute\) is '1\.5'; it takes a number",
            id="a fraction",
        ),
        pytest.param(
            {**KEY, "CODAT_ACCEPT_MISSING": "maybe"},
            "^CODAT_ACCEPT_MISSING is 'maybe'; it takes true or false",
            id="no yes or no",
        ),
        pytest.param({**KEY, "CODAT_BASE_URL": "codat"}, "not a URL like https://api.codat.io", id="no URL"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(environment: Mapping[str, str], text: str) -> None:
    """With the name of the setting, in each of its places, and what it takes."""
    with pytest.raises(ConfigError, match=text):
        read(environment)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost:1", "http://LOCALHOST", "http://[::1]:9"]
)
def test_loopback_has_no_pace(url: str) -> None:
    """Codat's limit is not the emulator's."""
    assert read({**KEY, "CODAT_BASE_URL": url}).requests_per_minute == 0


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://api.codat.io", "https://api.codat.io"),
        (" https://api.codat.io/ ", "https://api.codat.io"),
        ("HTTPS://proxy.example:8443/codat//", "https://proxy.example:8443/codat"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
    ],
)
def test_a_base_url_is_normalised(url: str, clean: str) -> None:
    """Without spaces and trailing slashes."""
    assert settings.check_base_url(url) == clean


@pytest.mark.parametrize(
    ("url", "text"),
    [
        pytest.param("http://api.codat.io", "would send the API key in the open", id="plain http"),
        pytest.param("http://127.0.0.1.example", "in the open", id="looks like loopback"),
        pytest.param("HTTP://API.CODAT.IO", "in the open", id="plain http in capitals"),
        pytest.param("http://127.0.0.1.evil.example:80", "in the open", id="loopback as a part of a name"),
        pytest.param("http://localhost.", "in the open", id="a dot behind it"),
        pytest.param("http://localhost.example", "in the open", id="localhost as a part of a name"),
        pytest.param("http://2130706433", "in the open", id="an address as a number"),
        pytest.param("http://0x7f000001", "in the open", id="an address in hex"),
        pytest.param("http://127.1", "in the open", id="a short address"),
        pytest.param("http://0.0.0.0", "in the open", id="any address"),
        pytest.param("http://[::ffff:8.8.8.8]", "in the open", id="one address within another"),
        pytest.param("http://[::ffff:127.0.0.1]", "in the open", id="loopback within another"),
        pytest.param("http://[::1%25eth0]", "in the open", id="an address with a zone"),
        pytest.param("http://１２７.0.0.1", "in the open|not a URL", id="digits of another width"),
        pytest.param("http://lo\tcalhost.example", "in the open|not a URL", id="a tab within"),
        pytest.param("http://localhost@evil.example", "user or password", id="localhost as a user"),
        pytest.param("http://localhost\\@evil.example", "user or password", id="a backslash before it"),
        pytest.param("http://127.0.0.1@else.where", "user or password", id="loopback as a user"),
        pytest.param("http://localhost\\.evil.example", "in the open", id="a backslash in it"),
        pytest.param("http:localhost", "not a URL", id="no slashes"),
        pytest.param("http:///127.0.0.1", "not a URL", id="three slashes"),
        pytest.param("https://else.where\\@api.codat.io", "user or password", id="a backslash"),
        pytest.param("https://me:pw@api.codat.io", "user or password", id="a password"),
        pytest.param("https://@api.codat.io", "user or password", id="an empty user"),
        pytest.param("me:pw@api.codat.io", "not a URL", id="a password without a scheme"),
        pytest.param("", "not a URL", id="nothing"),
        pytest.param("api.codat.io", "not a URL", id="no scheme"),
        pytest.param("ftp://api.codat.io", "not a URL", id="another scheme"),
        pytest.param("https://", "not a URL", id="no host"),
        pytest.param("https://[::1", "not a URL", id="half an address"),
        pytest.param("https://api.codat.io:none", "not a URL", id="a port in words"),
        pytest.param("https://api.codat.io:99999", "not a URL", id="a port too far"),
        pytest.param("https://api.codat.io?x=1", "not a URL", id="a query"),
        pytest.param("https://api.codat.io#x", "not a URL", id="a fragment"),
        pytest.param("https://evil\x1b[31m\nhost?", "not a URL", id="control characters"),
    ],
)
def test_a_base_url_that_would_give_the_key_away_is_refused(url: str, text: str) -> None:
    """In one line, and without the password that it held."""
    with pytest.raises(ConfigError, match=text) as caught:
        settings.check_base_url(url)

    assert str(caught.value).isprintable()
    assert "pw" not in str(caught.value)


def test_the_key_is_not_shown() -> None:
    """Settings may be printed; the key may not."""
    assert "from-the-environment" not in repr(read(KEY))


# Shards.


@pytest.mark.parametrize(("text", "shard"), [("1/1", (1, 1)), ("2/5", (2, 5)), ("1000/1000", (1000, 1000))])
def test_a_shard_is_one_of_several(text: str, shard: tuple[int, int]) -> None:
    """Numbered from 1, in the stack's config alone: the environment is that of all stacks."""
    chosen = read({**KEY, "CODAT_SHARD": "9/9"}, {"shard": f" {text}\n"})

    assert chosen.shard == Shard(*shard)
    assert str(chosen.shard) == text
    assert read(KEY).shard is None


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "1/1001", "1", "1/", "/3", "1/3/5", "-1/3", "a/b", "1 / 3", "²/3"]
)
def test_a_shard_that_makes_no_sense_is_refused(text: str) -> None:
    """With what it takes."""
    with pytest.raises(ConfigError, match=r"^codat:shard is .*; it takes K/N, such as 2/5 for the second"):
        read(KEY, {"shard": text})


@pytest.mark.parametrize(
    ("limit", "shard", "share"),
    [("", "2/4", 250), ("", "1/3", 333), ("600", "1/4", 150), ("2", "1/4", 1), ("0", "1/4", 0)],
)
def test_each_shard_takes_its_part_of_the_minute(limit: str, shard: str, share: int) -> None:
    """All together stay within the limit, on however many machines; at least one request may always go."""
    chosen = read(KEY, {"shard": shard, "requestsPerMinute": limit})

    assert chosen.requests_per_minute == share
