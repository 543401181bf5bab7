"""The options of several commands, and the operator's configuration that they name."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.integration import require_connector
from ploy_connector_aws.runtime.settings import OperatorSettings, has_variables, read_settings
from ploy_connector_aws.spec import ConfigurationError

DEFAULT_FILE = Path("ploy.toml")
"""The configuration file that ``setup`` writes by default."""

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


def read_operator_settings(config: Path | None, connector: str | None, *, debug: bool) -> OperatorSettings:
    """Set up logging, and read the configuration; ``--connector`` takes precedence over the connector in it.

    Raises:
        ConfigurationError: It is invalid or missing, or the connector is not installed.
    """
    logs.configure(debug=debug, for_people=True)
    if config is None and not has_variables(os.environ):
        option = f"--config {DEFAULT_FILE}"
        is_set_up = DEFAULT_FILE.is_file()
        raise ConfigurationError(
            "No configuration: give --config FILE, or set the environment variables.",
            fix=f"add {option} to the command" if is_set_up else f"run ploy-connector setup, then add {option}",
        )
    settings = read_settings(config)
    if connector is not None:
        settings = settings.with_connector(connector, "--connector")
    require_connector(settings)
    return settings


def program_name() -> str:
    """Return what a person types to start this program: its name or, if that is not on the PATH, its path."""
    path = sys.argv[0]
    name = Path(path).name
    return name if shutil.which(name) == path else shlex.quote(path)
