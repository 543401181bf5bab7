"""The configuration file of a set-up: for its owner's eyes only, and never over another one unasked."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.cli.config_file import refuse_existing, write_config
from ploy_connector_aws.runtime.settings import read_settings
from ploy_connector_aws.spec import ConfigurationError
from tests.soak import cheap

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SETTINGS = {"key": "secret", "parts": ["a", "b"], "size": 3, "is_on": True}


@pytest.fixture
def no_umask() -> Any:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "ploy.toml"
    write_config(path, "staff", SETTINGS, overwrite=False)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (read_settings(path, {}).config, read_settings(path, {}).integration.connector) == (SETTINGS, "staff")
    assert [each.name for each in tmp_path.iterdir()] == ["ploy.toml"]


@pytest.mark.usefixtures("no_umask")
def test_one_that_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ploy.toml"
    path.write_text("mine")

    with pytest.raises(ConfigurationError, match="already"):
        write_config(path, "staff", SETTINGS, overwrite=False)
    assert path.read_text() == "mine"

    write_config(path, "staff", SETTINGS, overwrite=True)
    assert read_settings(path, {}).config == SETTINGS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_that_leads_nowhere_is_something_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "ploy.toml"
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigurationError, match="already"):
        refuse_existing(path, overwrite=False)


def test_a_folder_that_is_not_there_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no folder"):
        refuse_existing(tmp_path / "none" / "ploy.toml", overwrite=False)


@cheap
@given(settings=st.dictionaries(st.sampled_from(["a", "b"]), st.one_of(TEXT, st.lists(TEXT), st.booleans())))
def test_every_value_is_read_back_as_it_was(settings: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ploy.toml"
        write_config(path, "staff", settings, overwrite=False)
        assert tomllib.loads(path.read_text())["config"] == settings
