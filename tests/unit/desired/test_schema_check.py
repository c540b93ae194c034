"""The desired state: what breaks the contract, and what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.desired import load
from codat_iac.model.errors import ConfigError

ID = "8a210b68-6988-11ed-a1eb-0242ac120002"
BANK = "2e9d2c44-f675-40ba-8049-353bfcb5e171"

WRITE_KEY = "write 4 lower-case letters, for example gbol (Xero); codat-iac validate --online lists yours"
WRITE_ID = "write Codat's id of the company, a UUID such as 8a210b68-6988-11ed-a1eb-0242ac120002"
WRITE_STATUS = (
    "write Linked (it exists and we have not unlinked it) or Unlinked; only the customer can authorise,"
    " so PendingAuth and Deauthorized count as Linked"
)
WRITE_NAME = "use at most 100 lower-case letters, digits, '.', '_' and '-', a letter or a digit first"
WRITE_COMPANIES = "write a block for each company below it, or companies: {} to declare none on purpose"
WRITE_CONNECTIONS = (
    "write a block for each connection below it, or connections: {} to declare none on purpose"
)
START = "start with version: 1 and companies:"


def problems(text: str) -> list[str]:
    """What is wrong with a file c.yaml, without the file's name."""
    Path("c.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load("c.yaml")
    return [line.removeprefix("c.yaml").removeprefix(", ") for line in str(caught.value).split("\n")]


def ledger(connection: str) -> str:
    """A file whose acme/ledger is *connection*: line 6, from column 15."""
    return f"version: 1\ncompanies:\n  acme:\n    id: {ID}\n    connections:\n      ledger: {connection}\n"


def acme(name: str = "acme", identity: str = ID) -> str:
    """A file with a company of this name in line 3, and this id in line 4, column 9."""
    return f"version: 1\ncompanies:\n  {name}:\n    id: {identity}\n    connections: {{}}\n"


@pytest.mark.parametrize(
    ("connection", "expected"),
    [
        pytest.param("{platformKey: xeroo}", f"29: acme/ledger: platformKey 'xeroo': {WRITE_KEY}", id="key"),
        pytest.param(
            '{platformKey: "gbol\\n"}',
            f"29: acme/ledger: platformKey 'gbol\\n': {WRITE_KEY}",
            id="key with a line end",
        ),
        pytest.param(
            '{platformKey: "\\e]0;x\\a\u202e"}',
            f"29: acme/ledger: platformKey '\\x1b]0;x\\x07\\u202e': {WRITE_KEY}",
            id="key with terminal escapes",
        ),
        pytest.param(
            f"{{platformKey: {'x' * 500}}}",
            f"29: acme/ledger: platformKey '{'x' * 60}'…: {WRITE_KEY}",
            id="long key",
        ),
        pytest.param(
            "{platformKey: true}",
            "29: acme/ledger: platformKey: expected text, found the boolean true (quotes would make it text);"
            f" {WRITE_KEY}",
            id="boolean",
        ),
        pytest.param(
            "{platformKey: 012}",
            "29: acme/ledger: platformKey: expected text, found the number 012 (quotes would make it text);"
            f" {WRITE_KEY}",
            id="octal number",
        ),
        pytest.param(
            "{platformKey: 12}",
            "29: acme/ledger: platformKey: expected text, found the number 12 (quotes would make it text);"
            f" {WRITE_KEY}",
            id="number",
        ),
        pytest.param(
            "{platformKey: 1.0e+3}",
            "29: acme/ledger: platformKey: expected text, found the number 1.0e+3 (quotes would make it"
            f" text); {WRITE_KEY}",
            id="fraction",
        ),
        pytest.param(
            "{platformKey: 2024-01-01}",
            "29: acme/ledger: platformKey: expected text, found the date 2024-01-01 (quotes would make it"
            f" text); {WRITE_KEY}",
            id="date",
        ),
        pytest.param(
            f"{{platformKey: {'1' * 5000}}}",
            f"29: acme/ledger: platformKey '{'1' * 60}'…: {WRITE_KEY}",
            id="huge number",
        ),
        pytest.param(
            "{platformKey: }",
            f"29: acme/ledger: platformKey: expected text, found nothing; {WRITE_KEY}",
            id="nothing",
        ),
        pytest.param(
            "{platformKey: [gbol]}",
            f"29: acme/ledger: platformKey: expected text, found a list; {WRITE_KEY}",
            id="list",
        ),
        pytest.param(
            "{platformKey: {gbol: 1}}",
            f"29: acme/ledger: platformKey: expected text, found a mapping; {WRITE_KEY}",
            id="mapping",
        ),
        pytest.param("{}", f"15: acme/ledger: platformKey is missing; {WRITE_KEY}", id="missing key"),
        pytest.param(
            "{platfromKey: gbol}",
            "16: acme/ledger: unknown key 'platfromKey'; did you mean platformKey?",
            id="misspelt key is not missing too",
        ),
        pytest.param(
            "{platformKey: gbol, PLATFORM_KEY: gbol}",
            "35: acme/ledger: unknown key 'PLATFORM_KEY'; did you mean platformKey?",
            id="key in other letters",
        ),
        pytest.param(
            "{platformKey: gbol, foo: 1}",
            "35: acme/ledger: unknown key 'foo'; known here: connectionId, onExisting, onRemoval,"
            " platformKey, protect, status",
            id="unknown key",
        ),
        pytest.param(
            "gbol",
            "15: acme/ledger: expected a mapping, found the text 'gbol'; write at least a platformKey,"
            " for example {platformKey: gbol}",
            id="text for a connection",
        ),
        pytest.param(
            "{platformKey: gbol, status: PendingAuth}",
            f"43: acme/ledger: status 'PendingAuth': {WRITE_STATUS}",
            id="a status that only the customer can bring about",
        ),
        pytest.param(
            "{platformKey: gbol, status: unlinked}",
            f"43: acme/ledger: status 'unlinked': {WRITE_STATUS}; did you mean Unlinked?",
            id="status in small letters",
        ),
        pytest.param(
            "{platformKey: gbol, onRemoval: remove}",
            "46: acme/ledger: onRemoval 'remove': write unlink, delete or retain",
            id="onRemoval",
        ),
        pytest.param(
            "{platformKey: gbol, onExisting: off}",
            "47: acme/ledger: onExisting: expected text, found the boolean off (quotes would make it text);"
            " write refuse, adopt or create",
            id="onExisting",
        ),
        pytest.param(
            "{platformKey: gbol, connectionId: 2e9d2c44}",
            "49: acme/ledger: connectionId '2e9d2c44': write Codat's id of the connection, a UUID such as"
            f" {BANK}",
            id="connectionId",
        ),
        pytest.param(
            "{platformKey: gbol, protect: yes}",
            "44: acme/ledger: protect: expected true or false, found the boolean yes; write true or false",
            id="protect in YAML's other words",
        ),
        pytest.param(
            "{platformKey: gbol, protect: 'true'}",
            "44: acme/ledger: protect: expected true or false, found the text 'true'; write true or false",
            id="protect as text",
        ),
        pytest.param(
            "{platformKey: gbol, protect: 1}",
            "44: acme/ledger: protect: expected true or false, found the number 1; write true or false",
            id="protect as a number",
        ),
        pytest.param(
            "{platformKey: gbol, protect: }",
            "44: acme/ledger: protect: expected true or false, found nothing; write true or false",
            id="protect without a word",
        ),
        pytest.param(
            "{platformKey: gbol, protected: true}",
            "35: acme/ledger: unknown key 'protected'; did you mean protect?",
            id="another word for protect",
        ),
        pytest.param(
            f"{{platformKey: gbol, onExisting: create, connectionId: {BANK}}}",
            "47: acme/ledger: onExisting 'create': remove it or connectionId, which names a connection that"
            " exists already",
            id="create beside connectionId",
        ),
        pytest.param(
            f"{{platformKey: gbol, onExisting: crate, connectionId: {BANK}}}",
            "47: acme/ledger: onExisting 'crate': write refuse, adopt or create; did you mean create?",
            id="two rules broken by one value",
        ),
    ],
)
def test_what_a_connection_gets_wrong_is_one_problem(connection: str, expected: str) -> None:
    """It names the address, says what was found and what to write."""
    assert problems(ledger(connection)) == [f"line 6, column {expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            acme(name="Acme Ltd"),
            f"3, column 3: the company name 'Acme Ltd': {WRITE_NAME}",
            id="company name",
        ),
        pytest.param(
            acme(name='"acme\\n"'),
            f"3, column 3: the company name 'acme\\n': {WRITE_NAME}",
            id="company name with a line end",
        ),
        pytest.param(
            acme(name="a" * 101),
            f"3, column 3: the company name '{'a' * 60}'…: {WRITE_NAME}",
            id="long company name",
        ),
        pytest.param(
            acme(name="? A" + "a" * 101 + "\n  "),
            f"3, column 5: the company name 'A{'a' * 59}'…: {WRITE_NAME}",
            id="long and wrong company name",
        ),
        pytest.param(
            ledger("{platformKey: gbol}") + "      Shop: {platformKey: fztf}",
            f"7, column 7: company acme: the connection name 'Shop': {WRITE_NAME}",
            id="connection name",
        ),
        pytest.param(acme(identity="acme"), f"4, column 9: company acme: id 'acme': {WRITE_ID}", id="id"),
        pytest.param(
            "version: 1\ncompanies:\n  acme: {connections: {}}",
            f"3, column 9: company acme: id is missing; {WRITE_ID}, or match: {{tag: customerId=42}}",
            id="missing id",
        ),
        pytest.param(
            f"version: 1\ncompanies:\n  acme: {{id: {ID}}}",
            f"3, column 9: company acme: connections is missing; {WRITE_CONNECTIONS}",
            id="missing connections",
        ),
        pytest.param(
            f"version: 1\ncompanies:\n  acme: {{id: {ID}, connections: }}",
            "3, column 65: company acme: connections: expected a mapping, found nothing;"
            f" {WRITE_CONNECTIONS}",
            id="empty connections",
        ),
        pytest.param(
            "version: 1\ncompanies:\n  acme:\n",
            "3, column 8: company acme: expected a mapping, found nothing;"
            " write id: (or match:) and connections: below it",
            id="empty company",
        ),
        pytest.param("", f"1, column 1: expected a mapping, found nothing; {START}", id="empty file"),
        pytest.param(
            "# a\n", f"1, column 1: expected a mapping, found nothing; {START}", id="comments alone"
        ),
        pytest.param("[]", f"1, column 1: expected a mapping, found a list; {START}", id="list"),
        pytest.param(
            "name: codat\nruntime: python\n",
            f"1, column 1: has neither version nor companies; {START}",
            id="another kind of file",
        ),
        pytest.param(
            "version: 1", f"1, column 1: companies is missing; {WRITE_COMPANIES}", id="no companies"
        ),
        pytest.param(
            "version: 1\ncompanies:\n",
            f"2, column 11: companies: expected a mapping, found nothing; {WRITE_COMPANIES}",
            id="empty companies",
        ),
        pytest.param(
            "companies: {}",
            "1, column 1: version is missing; write version: 1, the only format that this codat-iac reads",
            id="no version",
        ),
        pytest.param(
            "version: 2\ncompanies: {}",
            "1, column 10: version: found the number 2; write version: 1, the only format that this codat-iac"
            " reads",
            id="version 2",
        ),
        pytest.param(
            "version: '1'\ncompanies: {}",
            "1, column 10: version '1': write version: 1, the only format that this codat-iac reads",
            id="version as text",
        ),
        pytest.param(
            "version: 1\ncompanies: {}\ndefault: {}",
            "3, column 1: unknown key 'default'; did you mean defaults?",
            id="unknown section",
        ),
        pytest.param(
            "version: 1\ncompanies: {}\ndefaults: {status: Linked}",
            "3, column 12: defaults: unknown key 'status'; known here: onExisting, onRemoval, protect",
            id="no default for the status",
        ),
        pytest.param(
            "version: 1\ncompanies: {}\ndefaults:",
            "3, column 10: defaults: expected a mapping, found nothing; write onRemoval, onExisting or"
            " protect below it, or leave defaults out",
            id="empty defaults",
        ),
        pytest.param(
            "version: 1\ncompanies: {}\ndefaults: {onRemoval: unlnk}",
            "3, column 23: defaults: onRemoval 'unlnk': write unlink, delete or retain; did you mean unlink?",
            id="wrong default",
        ),
        pytest.param(
            "version: 1\ncompanies: {}\ndefaults: {protect: on}",
            "3, column 21: defaults: protect: expected true or false, found the boolean on; write true or"
            " false",
            id="wrong default of protect",
        ),
        pytest.param(
            "version: true\ncompanies: {}",
            "1, column 10: version: found the boolean true; write version: 1, the only format that this"
            " codat-iac reads",
            id="true is not 1",
        ),
    ],
)
def test_what_the_rest_of_a_file_gets_wrong_is_one_problem(text: str, expected: str) -> None:
    """It names the company or the section."""
    assert problems(text) == [f"line {expected}"]
