"""What several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="The TOML file with the settings.", envvar="PLOY_CONFIG_FILE"),
]
ConnectorName = Annotated[
    str | None, typer.Option("--connector", metavar="NAME", help="Which installed connector; aws by default.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
Debug = Annotated[bool, typer.Option("--debug", help="Log every step, and show tracebacks.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Read now, instead of showing the last committed sync.")]
