"""What several commands take."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_FILE = Path("ploy.toml")
"""The configuration file that a set-up writes where none is named."""

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
Fresh = Annotated[bool, typer.Option("--fresh", help="Read now, instead of showing the last committed sync.")]


def find_config_file(typed: Sequence[str]) -> str | None:
    """Return the configuration file that a command line names last; None where it names none."""
    found = [after for before, after in pairwise(typed) if before == _CONFIG]
    found += [each.removeprefix(f"{_CONFIG}=") for each in typed if each.startswith(f"{_CONFIG}=")]
    return found[-1] if found else None


def program_name() -> str:
    """Return what starts this program when it is typed: its name, or the path where the shell does not find that."""
    typed = sys.argv[0]
    name = Path(typed).name
    return name if shutil.which(name) == typed else shlex.quote(typed)
