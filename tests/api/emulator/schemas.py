"""What Codat may answer, and what it may be sent: JSON Schemas of the operations that the emulator has.

They say what the vendor's OpenAPI file says (https://github.com/codatio/oas, json/Codat-Platform.json). All
objects are closed, since the emulator adds nothing that no document names. Any operation may also be refused,
always with the same body: Codat documents that for some statuses, and others occur.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from jsonschema import Draft202012Validator

Schema = Mapping[str, Any]


def an_object(required: Schema, optional: Schema | None = None) -> Schema:
    """Return the schema of an object with these properties and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def or_null(schema: Schema) -> Schema:
    """Return the schema of what may be null as well."""
    return {"anyOf": [schema, {"type": "null"}]}


def a_list(item: Schema) -> Schema:
    """Return the schema of an array."""
    return {"type": "array", "items": item}


TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
FLAG: Final[Schema] = {"type": "boolean"}
ID: Final[Schema] = {"type": "string", "format": "uuid"}
URL: Final[Schema] = {"type": "string", "pattern": r"^https?://[^\s/]+/\S*$"}
TIME: Final[Schema] = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,7})?(Z|[+-]\d\d:\d\d)?)?$",
}
"""ISO 8601, with or without a time zone; .NET writes seven digits."""

PLATFORM_KEY: Final[Schema] = {"type": "string", "pattern": "^[a-z]{4}$"}
SOURCE_TYPE: Final[Schema] = {
    "enum": ["Accounting", "Banking", "BankFeed", "Commerce", "Expense", "Other", "Unknown"]
}
STATUSES: Final = ("PendingAuth", "Linked", "Unlinked", "Deauthorized")

CONNECTION: Final = an_object(
    {
        "id": ID,
        "integrationId": ID,
        "sourceId": ID,
        "sourceType": SOURCE_TYPE,
        "platformName": TEXT,
        "linkUrl": URL,
        "status": {"enum": list(STATUSES)},
        "created": TIME,
    },
    {
        "integrationKey": PLATFORM_KEY,
        "lastSync": or_null(TIME),
        "dataConnectionErrors": or_null(
            a_list(
                an_object(
                    {},
                    {
                        "statusCode": TEXT,
                        "statusText": TEXT,
                        "errorMessage": TEXT,
                        "erroredOnUtc": TIME,
                        "status": {"enum": ["Active", "Resolved", None]},
                        "resolvedOnUtc": or_null(TIME),
                    },
                )
            )
        ),
        "connectionInfo": {"type": ["object", "null"]},
    },
)

TAGS: Final[Schema] = {
    "type": "object",
    "maxProperties": 10,
    "propertyNames": {"minLength": 1, "maxLength": 27},
    "additionalProperties": {"type": "string", "maxLength": 100},
}
COMPANY: Final = an_object(
    {"id": ID, "name": TEXT, "redirect": URL},
    {
        "platform": TEXT,  # deprecated and in no document, but Codat sends it
        "description": or_null(TEXT),
        "lastSync": or_null(TIME),
        "created": TIME,
        "createdByUserName": or_null(TEXT),
        "products": a_list(TEXT),
        "tags": TAGS,
        "dataConnections": a_list(CONNECTION),
    },
)

INTEGRATION: Final = an_object(
    {"key": PLATFORM_KEY, "logoUrl": URL, "name": TEXT, "enabled": FLAG},
    {
        "sourceId": ID,
        "sourceType": SOURCE_TYPE,
        "integrationId": ID,
        "isOfflineConnector": FLAG,
        "isBeta": FLAG,
        "dataProvidedBy": TEXT,
        "datatypeFeatures": a_list(
            an_object(
                {
                    # The file requires `datatype` and describes `dataType`: what is required counts.
                    "datatype": TEXT,
                    "supportedFeatures": a_list(
                        an_object(
                            {
                                "featureType": {
                                    "enum": [
                                        "Get",
                                        "Post",
                                        "Categorization",
                                        "Delete",
                                        "Put",
                                        "GetAsPdf",
                                        "DownloadAttachment",
                                        "GetAttachment",
                                        "GetAttachments",
                                        "UploadAttachment",
                                    ]
                                },
                                "featureState": {
                                    "enum": [
                                        "Release",
                                        "Alpha",
                                        "Beta",
                                        "Deprecated",
                                        "NotSupported",
                                        "NotImplemented",
                                    ]
                                },
                            }
                        )
                    ),
                }
            )
        ),
    },
)

LINK: Final = an_object({"href": {"type": "string", "pattern": r"^/[^\s]*$"}})
"""Relative, as in the examples of https://docs.codat.io/using-the-api/paging."""


def a_page(item: Schema) -> Schema:
    """Return the schema of one page of a list: 2,000 rows at most, though a request may ask for 5,000."""
    return an_object(
        {
            "results": {**a_list(item), "maxItems": 2000},
            "pageNumber": {"type": "integer", "minimum": 1},
            "pageSize": {"type": "integer", "minimum": 1, "maximum": 2000},
            "totalResults": {"type": "integer", "minimum": 0},
            "_links": an_object({"self": LINK, "current": LINK}, {"next": LINK, "previous": LINK}),
        }
    )


_ITEMS: Final = or_null(
    a_list(an_object({}, dict.fromkeys(("itemId", "message", "validatorName"), or_null(TEXT))))
)
ERROR: Final = an_object(
    {},
    {
        "statusCode": WHOLE,  # not always the HTTP status: Codat's examples differ for 402 and 503
        "service": TEXT,
        "error": TEXT,
        "correlationId": TEXT,
        "validation": or_null(
            an_object(
                {},
                {
                    "errors": _ITEMS,
                    "warnings": _ITEMS,
                    # In no document, but in https://docs.codat.io/updates/220825-string-request-deprecation.
                    **{key: {"type": "array"} for key in ("_errors", "_warnings", "_internals")},
                },
            )
        ),
        "canBeRetried": TEXT,
        "detailedErrorCode": WHOLE,
    },
)

SUCCESS: Final[Mapping[str, tuple[int, Schema | bool]]] = {
    "list-connections": (200, a_page(CONNECTION)),
    "create-connection": (200, CONNECTION),
    "get-connection": (200, CONNECTION),
    "delete-connection": (200, {"const": True}),
    "unlink-connection": (200, CONNECTION),
    "list-companies": (200, a_page(COMPANY)),
    "create-company": (200, COMPANY),
    "get-company": (200, COMPANY),
    "replace-company": (200, COMPANY),
    "update-company": (200, COMPANY),
    "delete-company": (204, False),
    "list-integrations": (200, a_page(INTEGRATION)),
    "get-integration": (200, INTEGRATION),
}
"""The only status of success of each operation, with its body (False: none): Codat's own SDK takes any other
status for an error."""

BODILESS: Final = frozenset({"delete-connection", "delete-company"})

_NAME: Final[Schema] = {"type": "string", "pattern": r"^[A-Za-z0-9\s\-',&@.?!]+$"}
_OF_A_COMPANY: Final[Schema] = {"description": or_null(TEXT), "tags": or_null(TAGS)}
BODIES: Final[Mapping[str, Schema]] = {
    "create-connection": an_object({"platformKey": PLATFORM_KEY}),
    "unlink-connection": an_object({"status": {"enum": list(STATUSES)}}),
    "create-company": an_object({"name": _NAME}, _OF_A_COMPANY),
    "replace-company": an_object({"name": _NAME}, _OF_A_COMPANY),
    "update-company": an_object({}, {"name": _NAME, **_OF_A_COMPANY}),
}
"""What a request's body may be, by operation."""


_VALIDATORS: Final = {
    name: Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    for name, (_, schema) in {**SUCCESS, "error": (400, ERROR)}.items()
}


def complaints(operation: str, status: int, content_type: str, body: bytes) -> list[str]:
    """Return in what an answer isn't Codat's. An *operation* that Codat doesn't have is always refused."""
    if status < 400:
        if status != SUCCESS.get(operation, (None,))[0]:
            return [f"{operation} never answers {status}"]
        if not body and operation in BODILESS:
            return []
    if not content_type.startswith("application/json"):
        return [f"{content_type or 'nothing'} is no JSON"]
    try:
        data = json.loads(body, parse_constant=_refuse)
    except ValueError as error:
        return [f"it is no JSON: {error}"]
    return violations(operation if status < 400 else "error", data)


def violations(name: str, data: Any) -> list[str]:
    """Return in what JSON data isn't what an operation answers, or "error" any refusal."""
    found = _VALIDATORS[name].iter_errors(data)
    return [f"{error.json_path}: {error.message}" for error in found]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is Python's")
