"""The errors: a tree by what its reader does next, each one line, whole after a pickle."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from codat_iac.model import errors
from codat_iac.model.errors import (
    AccountLimit,
    ApiError,
    CodatBroken,
    CodatIacError,
    ConfigError,
    EngineError,
    ErrorMessage,
    FileProblem,
    NotCodat,
    NotFound,
    Orphaned,
    RateLimited,
    Refused,
    Rejected,
    TransportError,
    Unauthorized,
    UnsafePlan,
    naming,
)

KINDS = [AccountLimit, ApiError, CodatBroken, NotCodat, NotFound, RateLimited, Rejected]
KINDS += [TransportError, Unauthorized]

WHOLE = ErrorMessage(
    status_code=429,
    service="ClientsApi",
    error="Too many companies",
    correlation_id="5f1c",
    validation={"errors": [{"itemId": "name", "message": "too long", "validatorName": None}]},
    can_be_retried="No",
    detailed_error_code=7,
)


@pytest.mark.parametrize(
    ("kind", "base"),
    [
        (ConfigError, CodatIacError),
        (EngineError, CodatIacError),
        (Refused, CodatIacError),
        (UnsafePlan, Refused),
        (Orphaned, Refused),
        (ApiError, CodatIacError),
        *((kind, ApiError) for kind in KINDS if kind is not ApiError),
    ],
    ids=lambda kind: kind.__name__,
)
def test_the_tree_is_as_drawn(kind: type, base: type) -> None:
    """Each class hangs where it belongs, and nowhere else."""
    assert kind.__bases__ == (base,)


def test_the_drawing_names_every_class() -> None:
    """A class that the module's drawing forgets is a class that nobody finds."""
    classes = [name for name, each in vars(errors).items() if inspect.isclass(each)]
    ours = [name for name in classes if issubclass(vars(errors)[name], CodatIacError)]

    drawn = (errors.__doc__ or "").split()

    assert [name for name in ours if name not in drawn] == []


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        pytest.param(FileProblem("a.yaml", 12, 5, "no"), "a.yaml, line 12, column 5: no", id="a place"),
        pytest.param(FileProblem("a.yaml", 0, 0, "no"), "a.yaml: no", id="no place"),
    ],
)
def test_a_problem_says_where_it_is(problem: FileProblem, text: str) -> None:
    """File, line and column come first, as far as there are any."""
    assert str(problem) == text


def test_a_config_error_carries_all_problems_sorted_by_place() -> None:
    """All at once, one for each line, in the order of the file."""
    problems = [
        FileProblem("b.yaml", 1, 1, "c"),
        FileProblem("a.yaml", 9, 1, "b"),
        FileProblem("a.yaml", 2, 7, "a"),
    ]
    error = ConfigError(problems)

    assert error.problems == tuple(sorted(problems))
    assert str(error).splitlines() == [
        "a.yaml, line 2, column 7: a",
        "a.yaml, line 9, column 1: b",
        "b.yaml, line 1, column 1: c",
    ]


def test_a_config_error_may_be_one_sentence() -> None:
    """A wrong setting has no place in a file."""
    error = ConfigError("no API key")

    assert (str(error), error.problems) == ("no API key", ())


def test_an_api_error_without_an_answer_has_empty_fields() -> None:
    """There is always a body to look into, and no status where no answer came."""
    error = TransportError("GET /companies: reset", doing="GET /companies")

    assert (error.status, error.doing, error.body) == (None, "GET /companies", ErrorMessage())
    assert not error.in_doubt


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_api_error_survives_pickle_and_copy(kind: type[ApiError]) -> None:
    """A process pool hands errors over by pickling, and breaks on one that can't be."""
    error = kind("GET /companies: no", doing="GET /companies", status=429, body=WHOLE)
    error.in_doubt = True
    if isinstance(error, RateLimited):
        error.retry_after = 7.0

    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301  our own
        assert type(again) is kind
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_a_config_error_survives_pickle() -> None:
    """With the problems, not only their text."""
    error = ConfigError([FileProblem("a.yaml", 1, 2, "no")])
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own

    assert (str(again), again.problems) == (str(error), error.problems)


def test_what_codat_refuses_names_the_address_once() -> None:
    """However many layers put the address before the text."""
    with pytest.raises(NotFound) as caught, naming("acme/ledger"), naming("acme/ledger"):
        raise NotFound("GET /companies: gone", doing="GET /companies", status=404, body=WHOLE)

    assert str(caught.value) == "acme/ledger: GET /companies: gone"
    assert (caught.value.status, caught.value.body) == (404, WHOLE)


def test_what_is_not_codats_is_not_named() -> None:
    """Our own refusals name their address themselves."""
    with pytest.raises(Refused, match=r"^no$"), naming("acme/ledger"):
        raise Refused("no")
