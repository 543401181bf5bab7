"""The configuration file that a set-up ends in: readable by its owner only, and never over another one unasked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ploy_connector_aws.spec import ConfigurationError
from ploy_connector_aws.spec.templates import escape

_HEADER = """\
# Written by ploy-connector setup. It holds secrets: keep it readable by yourself only.
"""


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Stop before anything is asked where the file could not be written in the end.

    Raises:
        ConfigurationError: It is there already, or its folder is not.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"There is no folder {path.parent} for the configuration file.")
    if not overwrite and (path.exists() or path.is_symlink()):
        raise ConfigurationError(
            f"There is a configuration file {path} already.",
            fix=f"test it with ploy-connector check --config {path}, name another file with --config, or replace it "
            "with --overwrite",
        )


def write_config(
    path: Path,
    connector: str,
    settings: Mapping[str, Any] | None,
    *,
    overwrite: bool,
    integration_id: str | None = None,
    platform: Mapping[str, Any] | None = None,
) -> None:
    """Write the file at once and whole, with a mode that lets nobody else read it.

    Args:
        path: The file.
        connector: The connector's name.
        settings: The connector's settings; None where Ploy keeps them.
        overwrite: Whether a file that exists is replaced.
        integration_id: The integration's id at Ploy.
        platform: Ploy's address and token.

    Raises:
        ConfigurationError: It cannot be written.
    """
    integration = {"id": integration_id, "connector": connector} if integration_id else {"connector": connector}
    tables = {"integration": integration, "config": settings, "platform": platform}
    lines = [_HEADER]
    for table, values in tables.items():
        if values is not None:
            lines += [f"[{table}]", *(f"{name} = {_to_toml(value)}" for name, value in values.items()), ""]
    refuse_existing(path, overwrite=overwrite)
    try:
        # mkstemp makes files of mode 0600.
        number, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        Path(temporary).replace(path)
    except OSError as error:
        raise ConfigurationError(f"The configuration file {path} cannot be written: {error.strerror}.") from None


def _to_toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return f'"{escape(value, "toml")}"'
    return f"[{', '.join(_to_toml(each) for each in value)}]"
