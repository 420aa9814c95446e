"""Tables: with lines on a terminal, and plain text elsewhere, such as in files and pipes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any


def print_tables(tables: Sequence[Any]) -> None:
    """Print tables of `trainers.report`, with an empty line between them."""
    if not sys.stdout.isatty():
        print("\n\n".join(map(str, tables)))
        return
    for number, table in enumerate(tables):
        # Cells of plain text may be empty in every row, to put figures under those of another table.
        used = [n for n in range(len(table.columns)) if any(cells[n] for _, cells in table.rows)]
        rows = [(name, *(cells[n] for n in used)) for name, cells in table.rows]
        if number:
            print()
        print_rows(
            [table.corner, *(table.columns[n] for n in used)], rows, table.title, numbers=range(1, 1 + len(used))
        )


def print_rows(
    columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", numbers: Sequence[int] = ()
) -> None:
    """Print a table with lines.

    Args:
        columns: the names of the columns.
        rows: the cells, as text without markup.
        title: a line above the table.
        numbers: the columns whose cells are aligned to the right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=Text(title) if title else None, box=box.SIMPLE_HEAD, title_justify="left")
    for number, name in enumerate(columns):
        drawn.add_column(Text(name), justify="right" if number in numbers else "left")
    for row in rows:
        drawn.add_row(*map(Text, row))
    Console().print(drawn)


def print_markdown(text: str) -> None:
    """Print Markdown, drawn on a terminal and as it is elsewhere."""
    if not sys.stdout.isatty():
        print(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    Console().print(Markdown(text))
