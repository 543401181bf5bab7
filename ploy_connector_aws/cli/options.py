"""The operator's configuration, by the options that name it."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.integration import require_connector
from ploy_connector_aws.runtime.settings import OperatorSettings, has_variables, read_settings
from ploy_connector_aws.spec import ConfigurationError

from .commands import CONFIG

DEFAULT_FILE = Path("ploy.toml")
"""The configuration file that ``setup`` writes by default."""


def find_config_file(arguments: Sequence[str]) -> str | None:
    """Return the configuration file that a command line names last, or None."""
    found = [after for before, after in pairwise(arguments) if before == CONFIG]
    found += [each.removeprefix(f"{CONFIG}=") for each in arguments if each.startswith(f"{CONFIG}=")]
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
