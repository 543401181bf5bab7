"""The operator's configuration: file, overriding variables, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ploy_connector_aws.runtime.settings import OperatorSettings, override_config, read_settings
from ploy_connector_aws.spec import ConfigurationError

FILE = """
[integration]
id = "int-1"
connector = "aws"
[config]
region = "eu-west-1"
external_id = "do-not-show-me"
[platform]
url = "https://ploy.example"
token = "token-do-not-show"
[state]
dir = "/nowhere"
"""


def write(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "ploy.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_the_file_is_read(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, FILE), {})
    assert settings.model_dump(exclude={"platform"}) == {
        "integration": {"id": "int-1", "connector": "aws"},
        "config": {"region": "eu-west-1", "external_id": "do-not-show-me"},
        "config_overrides": {},
        "state": {"dir": Path("/nowhere")},
    }
    assert settings.platform.token is not None
    assert settings.platform.token.get_secret_value() == "token-do-not-show"
    assert settings.snapshot_path == Path("/nowhere/int-1.sqlite")


def test_variables_override_the_file(tmp_path: Path) -> None:
    environment = {
        "PLOY_INTEGRATION_ID": "int-2",
        "PLOY_CONNECTOR": "csv",
        "PLOY_URL": "http://127.0.0.1:1",
        "PLOY_TOKEN_FILE": "/token",
        "PLOY_STATE_DIR": str(tmp_path),
        "PLOY_CONFIG_REGION": "eu-north-1",
        "PLOY_CONFIG_FILE": "/ploy.toml",
        "UNRELATED": "x",
    }
    settings = read_settings(write(tmp_path, FILE), environment)
    assert settings.model_dump() == {
        "integration": {"id": "int-2", "connector": "csv"},
        "config": {"region": "eu-west-1", "external_id": "do-not-show-me"},
        "config_overrides": {"region": "eu-north-1"},
        "platform": {"url": "http://127.0.0.1:1", "token": None, "token_file": Path("/token")},
        "state": {"dir": tmp_path},
    }


def test_a_connector_s_settings_are_overridden_one_by_one_and_lists_are_split_at_their_commas() -> None:
    schema = {"properties": {"region": {"type": "string"}, "scopes": {"type": "array"}}}
    overrides = {"scopes": "users, groups", "region": "eu-north-1, or so", "unknown": "a,b"}
    assert override_config({"region": "eu-west-1", "role": "Ploy"}, overrides, schema) == {
        "region": "eu-north-1, or so",
        "role": "Ploy",
        "scopes": ["users", "groups"],
        "unknown": "a,b",
    }


def test_overrides_alone_leave_the_settings_to_ploy() -> None:
    settings = read_settings(None, {"PLOY_CONFIG_REGION": "eu-north-1"})
    assert (settings.config, settings.config_overrides) == (None, {"region": "eu-north-1"})


def test_without_a_file_the_defaults_hold() -> None:
    assert read_settings(None, {}) == OperatorSettings()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[integration", "is not TOML"),
        ("[integration]\nid = 'a/b'", "The setting integration.id is wrong"),
        ("[platform]\nurls = 'x'", "The setting platform.urls is wrong"),
        ("[config_overrides]\nregion = 'x'", "The setting config_overrides is wrong"),
    ],
)
def test_a_wrong_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        read_settings(write(tmp_path, text), {})


DEEP = 2_000
HOSTILE = {
    "arrays": "[config]\na = " + "[" * DEEP + "]" * DEEP,
    "tables in tables": "[config]\na = " + "{a = " * DEEP + "1" + "}" * DEEP,
    "names with dots": f"[config.{'.'.join('a' * DEEP)}]",
    "keys with dots": f"[config]\n{'.'.join('a' * DEEP)} = 1",
    "arrays without an end": "a = " + "[" * 100_000,
    "33 levels": "a = " + "[" * 32 + "]" * 32,
    "a long number": f"[config]\na = {'9' * 5_000}",
    "a moment out of range": "[config]\na = 9999-99-99T00:00:00Z",
    "no tables": "integration = 1",
    "no table of the platform": 'platform = "x"',
    "no table of settings": "config = []",
    "a list of tables": "[[state]]",
    "not a number": "[integration]\nid = nan",
    "null characters": '[integration]\nid = "\\u0000"',
    "no character": '[integration]\nid = "\\ud800"',
}


@pytest.mark.parametrize("variables", [{}, {"PLOY_TOKEN": "t", "PLOY_STATE_DIR": "x", "PLOY_CONNECTOR": "c"}])
@pytest.mark.parametrize("name", HOSTILE)
def test_no_file_is_an_internal_error(tmp_path: Path, name: str, variables: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_settings(write(tmp_path, HOSTILE[name]), variables)
    assert len(str(raised.value)) < 400 + len(str(tmp_path))


def test_a_file_may_be_nested_as_deep_as_any_settings_are(tmp_path: Path) -> None:
    read_settings(write(tmp_path, "[config]\na = " + "[" * 20 + "]" * 20), {})


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be read: No such file"):
        read_settings(tmp_path / "none.toml", {})


def test_secrets_that_others_can_read_are_refused_with_the_fix(tmp_path: Path) -> None:
    path = write(tmp_path, FILE, mode=0o644)
    with pytest.raises(ConfigurationError, match="others on this machine can read it") as caught:
        read_settings(path, {})
    assert caught.value.fix == f"chmod 600 {path}"


def test_settings_never_show_secrets(tmp_path: Path) -> None:
    shown = repr(read_settings(write(tmp_path, FILE), {"PLOY_CONFIG_EXTERNAL_ID": "do-not-show-either"}))
    assert "do-not-show" not in shown


def test_no_integration_has_the_name_of_another_ones_task_file() -> None:
    with pytest.raises(ConfigurationError, match=r"does not end in \.tasks") as caught:
        read_settings(None, {"PLOY_INTEGRATION_ID": "int-1.tasks"})
    assert caught.value.field == "integration.id"
