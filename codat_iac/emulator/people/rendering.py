"""Render the pages, and read what their forms send.

Names come from outside and may hold anything, so every page is rendered with autoescape.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined

from codat_iac.emulator.requests.messages import Call, Reply, html_reply

_TEMPLATES: Final = Environment(
    loader=PackageLoader("codat_iac.emulator.people"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _moment(seconds: float) -> str:
    """Return a time for people, to the second and in UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


_TEMPLATES.filters["moment"] = _moment


def page(template: str, status: int = 200, /, **values: Any) -> Reply:
    """Return a page; *values* are what its template names."""
    return html_reply(_TEMPLATES.get_template(template).render(**values), status)


def read_form(call: Call) -> dict[str, str]:
    """Return the first value of each field of a form; an empty field is one that was emptied."""
    fields = parse_qs(call.body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[0] for name, values in fields.items()}
