"""Rows in the format that was asked for: a table or blocks on a terminal, lines elsewhere, CSV, TSV and JSON Lines."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from .options import Format
from .output import escape_unprintable, table, text
from .stdout import stream

Row = TypeVar("Row")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet calculates a cell that begins with one of these."""
_NARROWEST_TEXT = 30
"""A text column is at least this wide in a table; below, each record is a block."""
_UNLIMITED = 1_000_000


@dataclass(frozen=True)
class Column(Generic[Row]):
    """One column of a list."""

    title: str
    value: Callable[[Row], str | None]
    """The cell of a row; None where it has no value."""
    is_text: bool = False
    """Whether it holds sentences, which may be wrapped between words; other cells are never cut."""
    styles: Mapping[str, str] = field(default_factory=dict)
    """The style of a cell on a terminal, by its value."""


@dataclass(frozen=True)
class Rows(Generic[Row]):
    """The rows of a list, and how they are shown."""

    columns: tuple[Column[Row], ...]
    rows: Iterable[Row]
    to_json: Callable[[Row], dict[str, Any]]

    def write(self, out: Console, chosen: Format) -> int:
        """Write all rows in any format but JSON, which is one document of the caller's.

        Args:
            out: The console on standard output.
            chosen: The format; ``table`` is one line a row, tab separated, where the output is no terminal.

        Returns:
            The number of rows.
        """
        if chosen is Format.TABLE and out.is_terminal:
            return self._write_for_people(out)
        count = 0
        for count, line in enumerate(self._lines(chosen), 1):  # noqa: B007 - it is returned
            stream().write(line)
        stream().flush()
        return count - (chosen in (Format.CSV, Format.TSV))

    def _lines(self, chosen: Format) -> Iterator[str]:
        if chosen is Format.JSONL:
            for row in self.rows:
                yield escape_unprintable(json.dumps(self.to_json(row), ensure_ascii=False, default=str)) + "\n"
            return
        cells = (tuple(column.value(row) or "" for column in self.columns) for row in self.rows)
        titles = tuple(column.title for column in self.columns)
        if chosen is Format.CSV:
            is_terminal = stream().isatty()
            for line in map(_to_csv, itertools.chain([titles], (map(_disarm, each) for each in cells))):
                yield escape_unprintable(line) if is_terminal else line
            return
        if chosen is Format.TSV:
            yield "\t".join(titles) + "\n"
        for line_cells in cells:
            yield "\t".join(each if each.isprintable() else _escape_cell(each) for each in line_cells) + "\n"

    def _write_for_people(self, out: Console) -> int:
        """Write a table without the columns that are empty throughout or, where it does not fit, a block a record."""
        cells = [tuple(column.value(row) or "" for column in self.columns) for row in self.rows]
        used = [at for at in range(len(self.columns)) if any(row[at] for row in cells)]
        columns = [self.columns[at] for at in used]
        cells = [tuple(row[at] for at in used) for row in cells]
        shown = table()
        for column in columns:
            shown.add_column(
                column.title, no_wrap=not column.is_text, min_width=_NARROWEST_TEXT if column.is_text else None
            )
        for row in cells:
            shown.add_row(*(_styled(column, cell) for column, cell in zip(columns, row, strict=True)))
        if not cells:
            return 0
        if _narrowest(out, shown) <= out.width:
            out.print(shown)
        else:
            for row in cells:
                _write_block(out, columns, row)
            out.print()
        return len(cells)


def _write_block(out: Console, columns: list[Column[Row]], row: tuple[str, ...]) -> None:
    """Write a record below its first cell, without its empty cells."""
    out.print(f"[bold]{_styled(columns[0], row[0])}[/]", soft_wrap=True)
    width = max((len(column.title) for column in columns[1:]), default=0)
    indent = " " * (width + 4)
    for column, cell in zip(columns[1:], row[1:], strict=True):
        if not cell:
            continue
        lines = _wrap(cell, max(out.width - len(indent), _NARROWEST_TEXT)) if column.is_text else [cell]
        shown = f"\n{indent}".join(_styled(column, line) for line in lines)
        out.print(f"  [dim]{column.title:<{width}}[/]  {shown}", soft_wrap=True)


def _wrap(cell: str, width: int) -> list[str]:
    """Break a text between its parts at spaces, and never within one."""
    lines = [""]
    for part in cell.split():
        if lines[-1] and cell_len(lines[-1]) + 1 + cell_len(part) > width:
            lines.append(part)
        else:
            lines[-1] += f" {part}" if lines[-1] else part
    return lines


def _styled(column: Column[Row], cell: str) -> str:
    style = column.styles.get(cell)
    return f"[{style}]{text(cell)}[/]" if style else text(cell)


def _narrowest(out: Console, shown: Table) -> int:
    return Measurement.get(out, out.options.update(max_width=_UNLIMITED), shown).minimum


def _disarm(cell: str) -> str:
    """Put an apostrophe before a formula, which a spreadsheet would calculate."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


class _Line:
    """A file for ``csv.writer``, which returns what ``write`` returns."""

    def write(self, line: str) -> str:
        return line.removesuffix("\r\n") + "\n"


# The writer quotes a cell with a character of the line end, so both characters belong to it.
_to_csv: Callable[[Iterable[str]], str] = csv.writer(_Line(), lineterminator="\r\n").writerow


def _escape_cell(cell: str) -> str:
    """Write unprintable characters, such as tabs and line ends, as JSON does."""
    return escape_unprintable(cell.replace("\n", "\\n"))
