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
            fix="try it with ploy-connector check, name another file with --config, or replace it with --overwrite",
        )


def write_config(path: Path, connector: str, settings: Mapping[str, Any], *, overwrite: bool) -> None:
    """Write the file at once and whole, with a mode that lets nobody else read it.

    Raises:
        ConfigurationError: It cannot be written.
    """
    lines = [_HEADER, "[integration]", f"connector = {_to_toml(connector)}", "", "[config]"]
    lines += [f"{name} = {_to_toml(value)}" for name, value in settings.items()]
    refuse_existing(path, overwrite=overwrite)
    try:
        # mkstemp makes files of mode 0600.
        number, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
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
