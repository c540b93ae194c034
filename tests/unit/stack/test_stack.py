"""What is said of a `pulumi` that fails; `engine/stack/test_stack.py` drives the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from codat_iac.stack.stack import Stack, StackError

URL = "postgres://pulumi:s3cret@db.example:5432/states?sslmode=disable"


def test_an_error_of_pulumis_hides_them_and_says_what_to_do(tmp_path: Path) -> None:
    """Whichever command it was."""
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(
        f"#!/bin/sh\necho 'error: unable to open state database \"{URL}\": refused' >&2\nexit 255\n"
    )
    pulumi.chmod(0o755)

    with pytest.raises(StackError) as raised:
        Stack(tmp_path, "dev", pulumi).pulumi("stack", "export")

    hidden = URL.replace("s3cret", "***")
    assert str(raised.value) == (
        f'`pulumi stack export` failed: unable to open state database "{hidden}": refused; see to it that the'
        " database runs, or correct PULUMI_BACKEND_URL, or `backend:` in Pulumi.yaml"
    )
