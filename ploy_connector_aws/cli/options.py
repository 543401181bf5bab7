"""Options and arguments that several commands take, and the values to choose from."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer


class What(StrEnum):
    """What can be listed."""

    ACCOUNTS = "accounts"
    ENTITLEMENTS = "entitlements"
    GRANTS = "grants"
    RESOURCES = "resources"
    FINDINGS = "findings"


Severity = StrEnum("Severity", ["LOW", "MEDIUM", "HIGH", "CRITICAL"])
State = StrEnum("State", ["OPEN", "ACCEPTED", "RESOLVED", "WITHDRAWN"])
"""Of findings."""
_SEVERITY_HELP = f"Only findings of this severity: {', '.join(Severity)}. Repeatable."
_STATE_HELP = f"Only findings in this state, by default open: {', '.join(State)}. Repeatable."
SeverityOption = Annotated[list[Severity] | None, typer.Option("--severity", metavar="LEVEL", help=_SEVERITY_HELP)]
StateOption = Annotated[list[State] | None, typer.Option("--state", metavar="STATE", help=_STATE_HELP)]


class Format(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    JSONL = "jsonl"


class ReportFormat(StrEnum):
    """How the report of ``validate`` is printed."""

    TABLE = "table"
    JSON = "json"
    JUNIT = "junit"


CONFIG = "--config"
CONFIG_FILE_VARIABLE = "PLOY_CONFIG_FILE"

ConfigFile = Annotated[
    Path | None,
    typer.Option(CONFIG, metavar="FILE", help="The TOML file with the settings.", envvar=CONFIG_FILE_VARIABLE),
]
ConnectorName = Annotated[
    str | None,
    typer.Option(
        "--connector",
        metavar="NAME",
        help="Which installed connector, aws by default; or the class in a file, as ./staff.py:Staff.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help=f"One of {', '.join(Format)}. Where the output is no terminal, a table is one line a row, tab separated.",
    ),
]
Ids = Annotated[bool, typer.Option("--ids", help="Show the ids, too.")]
Debug = Annotated[bool, typer.Option("--debug", help="Log every step, and show tracebacks.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Read from the source now, instead of the last sync.")]
Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="A name, a user name, an e-mail address or an id, as it is printed.")
]
Names = list[str] | None


_Format = TypeVar("_Format", Format, ReportFormat)


def choose_format(kind: type[_Format], chosen: _Format | None, as_json: bool) -> _Format:
    """Combine --format and --json, which means --format json."""
    if as_json and chosen not in (None, kind.JSON):
        raise typer.BadParameter(f"cannot be used with --format {chosen}", param_hint="--json")
    return kind.JSON if as_json else chosen or kind.TABLE
