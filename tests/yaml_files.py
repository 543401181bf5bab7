"""YAML files read by libyaml, where it is installed: Python's own parser takes twenty times as long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """Return what a YAML file contains."""
    return yaml.load(path.read_text(), _LOADER)
