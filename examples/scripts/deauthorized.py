"""List who has lost access at the platform (`Deauthorized`), as CSV: the customers to write to.

CODAT_API_KEY=... python deauthorized.py > deauthorized.csv
"""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterator

from codat_iac import Client, CodatIacError
from codat_iac.model.connection import LiveConnection

DEAUTHORIZED = "Deauthorized"
COLUMNS = ("company", "companyId", "platform", "connectionId", "since", "why")


def deauthorized(client: Client) -> Iterator[tuple[str, ...]]:
    """Yield a row for each connection whose customer has to authorise it again."""
    for page in client.company_pages():
        for company in page.results:
            # A company may come without its connections, or with them but not with their errors.
            inline = company.connections
            if inline is not None and not any(each.status == DEAUTHORIZED for each in inline):
                continue
            for connections in client.connection_pages(company.id):
                for each in connections.results:
                    if each.status == DEAUTHORIZED:
                        yield _text(company.name), company.id, _text(each.platform_name), *_cause(each)


def _cause(connection: LiveConnection) -> tuple[str, str, str]:
    """Return the connection's id, and since when and why it is broken, if Codat says so."""
    errors = [each for each in connection.data_connection_errors if each.status != "Resolved"]
    if not errors:
        return connection.id, "", ""
    return connection.id, errors[-1].errored_on_utc or "", _text(errors[-1].error_message or "")


def _text(text: str) -> str:
    """Return a foreign text as a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def main() -> None:
    """Write the rows to stdout; an error is one line on stderr."""
    try:
        base_url = os.environ.get("CODAT_BASE_URL") or "https://api.codat.io"
        client = Client(os.environ.get("CODAT_API_KEY", ""), base_url)
        table = csv.writer(sys.stdout)
        table.writerow(COLUMNS)
        table.writerows(deauthorized(client))
    except CodatIacError as error:
        sys.exit(f"deauthorized: {error}")


if __name__ == "__main__":
    main()
