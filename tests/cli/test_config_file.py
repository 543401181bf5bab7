"""The configuration file of a set-up: readable by its owner only, and never replaced without --overwrite."""

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

from ploy_connector_aws.cli.setup import reject_existing, write_config
from ploy_connector_aws.runtime.settings import read_settings
from ploy_connector_aws.spec import ConfigurationError
from tests.soak import cheap

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SETTINGS = {"key": "secret", "parts": ["a", "b"], "size": 3, "is_on": True, "names": {"12": 'a "b"'}}


@pytest.fixture
def no_umask() -> Any:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
def test_file_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "ploy.toml"
    write_config(path, "staff", SETTINGS, overwrite=False)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert (read_settings(path, {}).config, read_settings(path, {}).integration.connector) == (SETTINGS, "staff")
    assert [each.name for each in tmp_path.iterdir()] == ["ploy.toml"]


@pytest.mark.usefixtures("no_umask")
def test_existing_file_stays_unless_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ploy.toml"
    path.write_text("mine")

    with pytest.raises(ConfigurationError, match="already"):
        write_config(path, "staff", SETTINGS, overwrite=False)
    assert path.read_text() == "mine"

    write_config(path, "staff", SETTINGS, overwrite=True)
    assert read_settings(path, {}).config == SETTINGS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_dangling_symlink_counts_as_an_existing_file(tmp_path: Path) -> None:
    path = tmp_path / "ploy.toml"
    path.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigurationError, match="already"):
        reject_existing(path, overwrite=False)


def test_missing_folder_is_reported_before_any_question(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"folder .* does not exist"):
        reject_existing(tmp_path / "none" / "ploy.toml", overwrite=False)


@cheap
@given(settings=st.dictionaries(st.sampled_from(["a", "b"]), st.one_of(TEXT, st.lists(TEXT), st.booleans())))
def test_written_settings_are_read_back_unchanged(settings: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ploy.toml"
        write_config(path, "staff", settings, overwrite=False)
        assert tomllib.loads(path.read_text())["config"] == settings
