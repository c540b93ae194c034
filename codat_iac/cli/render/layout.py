"""Lay out lines for a terminal: aligned columns, hanging indents, and optional colour."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence

WIDEST = 44
"""The widest that a column is padded to, so that one long cell doesn't widen all rows."""

_NARROWEST = 34
"""With less room than this to the right of the columns, a wrapped text goes below them.

That a change loses an authorisation is said without a break, and has just this room."""

_HANGING = 8
_HARD_SPACE = "\xa0"

Paint = Callable[[str, str], str]
"""A function of a text and a style (`bold red`) that returns the text in that style, or unchanged."""


def paint(color: bool) -> Paint:
    """Return a function that styles a text with terminal colours, or leaves it unchanged."""
    if not color:
        return lambda text, _: text
    # Slow to import, and most output is piped.
    from rich.color import ColorSystem  # noqa: PLC0415
    from rich.style import Style  # noqa: PLC0415

    return lambda text, style: Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def width_of(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415  only a foreign name needs it

    return cell_len(text)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align rows of equally many cells, two spaces apart; a cell wider than `WIDEST` shifts only its row."""
    widths = [min(WIDEST, max(map(width_of, column))) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell + " " * (width - width_of(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def rows_with_text(
    rows: Sequence[tuple[Sequence[str], str]], width: int | None, indent: str = "  "
) -> list[str]:
    """Put a text to the right of each row of aligned cells, wrapped to *width* columns if that is given."""
    return [
        hanging(f"{indent}{head}  ", text, width)
        for head, (_, text) in zip(_padded([cells for cells, _ in rows]), rows, strict=True)
    ]


def rows(cells: Sequence[Sequence[str]], width: int | None, indent: str = "  ") -> list[str]:
    """Return rows of aligned cells; one that doesn't fit into *width* columns goes on below itself."""
    return [hanging(f"{indent}{line}", "", width) for line in columns(cells)]


def _padded(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    aligned = columns(rows)
    widest = max(map(width_of, aligned), default=0)
    return (line + " " * (widest - width_of(line)) for line in aligned)


def hanging(head: str, text: str, width: int | None) -> str:
    """Put a text after a head, wrapped with a hanging indent if it doesn't fit into *width* columns."""
    taken = width_of(head)
    if width is None or width_of((head + text).rstrip()) <= width:
        return (head + text).rstrip()
    if taken + width_of(text.partition(" ")[0]) > width:  # nothing of the text fits beside the head
        return _folded(head + text, width)
    indent = taken if width - taken >= _NARROWEST else _HANGING
    lines = textwrap.wrap(
        text,
        max(width - indent, _NARROWEST),
        initial_indent=_HARD_SPACE * max(taken - indent, 0),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return f"\n{' ' * indent}".join([head + lines[0].lstrip(_HARD_SPACE), *lines[1:]])


def _folded(line: str, width: int) -> str:
    """Break a line between words; what follows is indented."""
    indent = " " * _HANGING
    return textwrap.fill(
        line.rstrip(),
        max(width, _NARROWEST),
        subsequent_indent=indent if line.startswith(" ") else "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def shortened(text: str) -> str:
    """Cut a text to the widest column (`WIDEST`), between whole characters."""
    if width_of(text) <= WIDEST:
        return text
    from rich.cells import set_cell_size  # noqa: PLC0415  only a long name needs it

    return set_cell_size(text, WIDEST - 3).rstrip() + "..."
