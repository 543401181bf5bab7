"""The options of several commands."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

_CONFIG = "--config"

ConfigFile = Annotated[
    Path | None,
    typer.Option(_CONFIG, metavar="FILE", help="The TOML file with the settings.", envvar="PLOY_CONFIG_FILE"),
]
ConnectorName = Annotated[
    str | None, typer.Option("--connector", metavar="NAME", help="Which installed connector; aws by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Debug = Annotated[bool, typer.Option("--debug", help="Log every step, and show tracebacks.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Read from the source now, instead of the last sync.")]


def find_config_file(arguments: Sequence[str]) -> str | None:
    """Return the configuration file that a command line names last, or None."""
    found = [after for before, after in pairwise(arguments) if before == _CONFIG]
    found += [each.removeprefix(f"{_CONFIG}=") for each in arguments if each.startswith(f"{_CONFIG}=")]
    return found[-1] if found else None


def program_name() -> str:
    """Return what a person types to start this program: its name or, if that is not on the PATH, its path."""
    path = sys.argv[0]
    name = Path(path).name
    return name if shutil.which(name) == path else shlex.quote(path)
