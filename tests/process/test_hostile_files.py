"""The command on configuration files that no editor would write: status 3, and one plain message."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.runtime.test_settings import HOSTILE

from .forked import Forked


@pytest.mark.parametrize("name", ["arrays", "keys with dots", "a long number", "no tables"])
def test_hostile_configuration_file_ends_with_status_3(tmp_path: Path, name: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(HOSTILE[name])
    config.chmod(0o600)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "COLUMNS": "200"}
    with Forked(["list", "accounts", "--config", str(config), "--json"], environment) as process:
        out, err = process.communicate()

    assert (process.wait(), err) == (3, "")
    assert str(config) in json.loads(out)["error"]["message"]
