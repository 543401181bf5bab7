"""The formats of lists: whole cells on terminals of any width, one line a row elsewhere, and safe spreadsheets."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

from ploy_connector_aws.cli.formats import Column, Rows
from ploy_connector_aws.cli.options import Format

ID = "arn:aws:sso:::permissionSet/ssoins-59eb1de19626c58e/ps-8d9a73ec695c1bba"
NAME = "AWSReservedSSO_AdministratorAccess_a1b2c3d4000007b3"
WHY = "It can attach any policy to any role of the account, and so give itself all permissions there are."
DATE = "2026-11-24 03:04"
ROWS = [{"name": NAME, "user": "", "why": WHY, "since": DATE, "id": ID}, {"name": "Åse", "user": "", "since": DATE}]


def rows(*found: dict[str, Any]) -> Rows[dict[str, Any]]:
    def column(title: str, *, is_text: bool = False) -> Column[dict[str, Any]]:
        return Column(title, lambda row: row.get(title.lower()), is_text=is_text, styles={"Åse": "red"})

    columns = (column("Name"), column("User"), column("Why", is_text=True), column("Since"), column("Id"))
    return Rows(columns, found, dict)


def shown(width: int, *found: dict[str, Any]) -> list[str]:
    out = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    assert rows(*found).write(out, Format.TABLE) == len(found)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


def printed(chosen: Format, capsys: pytest.CaptureFixture[str], *found: dict[str, Any]) -> str:
    assert rows(*found).write(Console(file=io.StringIO()), chosen) == len(found)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 80, 120, 280])
def test_no_id_date_or_name_is_cut_on_a_terminal(width: int) -> None:
    lines = shown(width, *ROWS)
    for whole in (NAME, DATE, ID, "Åse"):
        assert any(whole in line for line in lines), whole
    assert not any("User" in line for line in lines), "no row has one"


def test_table_that_does_not_fit_becomes_a_block_for_each_record() -> None:
    assert shown(80, *ROWS) == [
        NAME,
        "  Why    It can attach any policy to any role of the account, and so give itself",
        "         all permissions there are.",
        f"  Since  {DATE}",
        f"  Id     {ID}",
        "Åse",
        f"  Since  {DATE}",
        "",
    ]
    table = shown(280, *ROWS)
    assert [line.split()[0] for line in table if line.strip("─ ")] == ["Name", NAME, "Åse"]


def test_table_wraps_sentences_only() -> None:
    lines = shown(190, *ROWS)
    (first,) = (line for line in lines if NAME in line)
    assert (DATE in first, ID in first, WHY in first) == (True, True, False)
    assert max(map(len, lines)) <= 190


def test_rows_are_lines_with_tabs_where_the_output_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(Format.TABLE, capsys, *ROWS).splitlines() == [
        "\t".join((NAME, "", WHY, DATE, ID)),
        "\t".join(("Åse", "", "", DATE, "")),
    ]
    assert printed(Format.TSV, capsys, *ROWS).splitlines()[0] == "Name\tUser\tWhy\tSince\tId"


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"]
HARMLESS = ["a=1", "'quoted'", 'say "hi", you', "two\nlines", "Åse\u202e"]


def test_formulas_are_disarmed_in_csv_and_nothing_else_is_altered(capsys: pytest.CaptureFixture[str]) -> None:
    found = [{"name": each, "id": each} for each in (*FORMULAS, *HARMLESS)]
    titles, *cells = csv.reader(io.StringIO(printed(Format.CSV, capsys, *found), newline=""))
    assert titles == ["Name", "User", "Why", "Since", "Id"]
    assert [row[0] for row in cells] == [*(f"'{each}" for each in FORMULAS), *HARMLESS]
    assert all(row[0] == row[4] for row in cells)


@pytest.mark.parametrize("chosen", [Format.TSV, Format.TABLE, Format.JSONL])
def test_other_formats_alter_no_formula_and_have_one_line_a_row(
    chosen: Format, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [{"name": each} for each in (*FORMULAS, *HARMLESS)]
    lines = printed(chosen, capsys, *found).split("\n")[chosen is Format.TSV : -1]
    assert all(line.replace("\t", "").isprintable() for line in lines)
    if chosen is Format.JSONL:
        assert [json.loads(line)["name"] for line in lines] == [each["name"] for each in found]
    else:
        names = [line.split("\t")[0] for line in lines]
        assert names == ["=1+1", "+1", "-1", "@SUM(A1)", "\\tx", "\\rx", *HARMLESS[:3], "two\\nlines", "Åse\\u202e"]


@pytest.mark.parametrize("chosen", [Format.CSV, Format.TSV, Format.JSONL, Format.TABLE])
def test_rows_are_printed_while_they_are_read(chosen: Format, capsys: pytest.CaptureFixture[str]) -> None:
    read = 0

    def many() -> Iterator[dict[str, Any]]:
        nonlocal read
        for read in range(3):
            yield {"name": f"n{read}"}
        raise InterruptedError

    with pytest.raises(InterruptedError):
        Rows(rows().columns, many(), dict).write(Console(file=io.StringIO()), chosen)
    out = capsys.readouterr().out
    assert (read, out.count("\n")) == (2, 3 + (chosen in (Format.CSV, Format.TSV)))
