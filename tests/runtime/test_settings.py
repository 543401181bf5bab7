"""The operator's configuration: file, overriding variables, and rejected values."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.runtime.settings import OperatorSettings, override_config, read_settings, refuse_misspelt
from ploy_connector_aws.spec import ConfigurationError

pytestmark = pytest.mark.usefixtures("no_garbage_collection")

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
        "names": {},
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
        "names": {},
        "platform": {"url": "http://127.0.0.1:1", "token": None, "token_file": Path("/token")},
        "state": {"dir": tmp_path},
    }


@pytest.mark.parametrize("configured", ["token = 'from-configuration'", "token_file = '{folder}/token'"])
@pytest.mark.parametrize(
    "environment", [{"PLOY_TOKEN": "from-variable"}, {"PLOY_TOKEN_FILE": "{folder}/token-of-variable"}, {}]
)
def test_token_variables_take_precedence_over_the_token_of_the_file(
    tmp_path: Path, configured: str, environment: dict[str, str]
) -> None:
    (tmp_path / "token").write_text("from-configuration\n")
    (tmp_path / "token-of-variable").write_text("from-variable\n")
    file = write(tmp_path, f"[platform]\n{configured.format(folder=tmp_path)}\n")
    variables = {name: value.format(folder=tmp_path) for name, value in environment.items()}
    platform = read_settings(file, variables).platform
    found = TokenSource(token=platform.token, file=platform.token_file).token().get_secret_value()
    assert found == ("from-variable" if environment else "from-configuration")


@pytest.mark.parametrize("configured", ['token = "of-the-file"', 'token_file = "/token"'])
@pytest.mark.parametrize("variables", [{}, {"PLOY_TOKEN_FILE": "/another"}])
def test_the_token_variable_takes_precedence(tmp_path: Path, configured: str, variables: dict[str, str]) -> None:
    file = write(tmp_path, f"[platform]\n{configured}\n")
    found = read_settings(file, {"PLOY_TOKEN": "from-variable", **variables}).platform
    assert (found.token, found.token_file) == (SecretStr("from-variable"), None)


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


ID = "it may have 1 to 128 letters, digits and any of . _ -"
TEXT = "it must be text, in quotes"
TABLE = "it must be a table"
PATH = "it must be the path of a file or folder, in quotes"

WRONG_FILES: dict[str, str] = {
    "[integration": "The configuration file {file} is not TOML: ",
    "[integration]\nid = 'a/b'": f"{{file}}: integration.id is wrong: {ID}.",
    "[integration]\nid = 5": f"{{file}}: integration.id is wrong: {TEXT}.",
    "[integration]\nconnector = ['aws']": f"{{file}}: integration.connector is wrong: {TEXT}.",
    "[integration]\nidd = 'x'": "{file}: unknown setting integration.idd; did you mean integration.id?",
    "[platform]\nurll = 'x'": "{file}: unknown setting platform.urll; did you mean platform.url?",
    "[platform]\ntokenfile = 'x'": "{file}: unknown setting platform.tokenfile; did you mean platform.token_file?",
    "[platform]\nurl.host = 'x'": f"{{file}}: platform.url is wrong: {TEXT}.",
    "[platform]\ntoken = 12345": f"{{file}}: platform.token is wrong: {TEXT}.",
    "[platform]\ntoken_file = true": f"{{file}}: platform.token_file is wrong: {PATH}.",
    "[platform.tls]\nca = 'x'": "{file}: unknown setting platform.tls; ",
    "[state]\ndirectory = 'x'": "{file}: unknown setting state.directory; did you mean state.dir?",
    "[state]\ndir = 1.5": f"{{file}}: state.dir is wrong: {PATH}.",
    "[plattform]\nurl = 'x'": "{file}: unknown setting plattform; did you mean platform?",
    "[config_overrides]\nregion = 'x'": "{file}: unknown setting config_overrides; the settings are ",
    "url = 'x'": "{file}: unknown setting url; did you mean platform.url?",
    "platform = 'x'": f"{{file}}: platform is wrong: {TABLE}, as in [platform].",
    "[[config]]": f"{{file}}: config is wrong: {TABLE}, as in [config].",
}
"""Files, and the message for each: the file and the setting first, and never the value."""


@pytest.mark.parametrize("text", WRONG_FILES)
def test_a_wrong_file_is_named_with_the_setting(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigurationError) as refused:
        read_settings(file, {})
    assert refused.value.message.startswith(WRONG_FILES[text].format(file=file))
    assert "12345" not in refused.value.message


def test_a_wrong_variable_is_named_with_the_setting_it_overrides(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_settings(write(tmp_path, FILE), {"PLOY_INTEGRATION_ID": "a b"})
    assert refused.value.message == f"PLOY_INTEGRATION_ID: integration.id is wrong: {ID}."


def test_each_setting_is_located_where_it_was_given(tmp_path: Path) -> None:
    file = write(tmp_path, FILE)
    settings = read_settings(file, {"PLOY_URL": "https://other.example", "PLOY_CONFIG_REGION": "eu-north-1"})
    assert {name: settings.locate(name) for name in ("platform.url", "state.dir", "config.region", "config.role")} == {
        "platform.url": "PLOY_URL: platform.url",
        "state.dir": f"{file}: state.dir",
        "config.region": "PLOY_CONFIG_REGION: config.region",
        "config.role": f"{file}: config.role",
    }
    at_ploy = settings.with_platform_config({"role": "x"})
    assert at_ploy.locate("config.role") == "Ploy's settings of the integration: role"
    assert at_ploy.locate("config.region") == "PLOY_CONFIG_REGION: config.region"
    assert settings.locate("config.role") == f"{file}: config.role"
    assert settings.with_connector("x", "--connector").locate("integration.connector") == (
        "--connector: integration.connector"
    )
    assert read_settings(None, {}).locate("platform.token") == "platform.token"


@pytest.mark.parametrize(("name", "meant"), [("regoin", "region"), ("external-id", "external_id"), ("rol", "role")])
def test_a_misspelt_setting_of_a_connector_is_named_with_the_one_that_was_meant(
    tmp_path: Path, name: str, meant: str
) -> None:
    schema = {"additionalProperties": False, "properties": {"region": {}, "external_id": {}, "role": {}}}
    file = write(tmp_path, FILE)
    with pytest.raises(ConfigurationError) as refused:
        refuse_misspelt(read_settings(file, {}), {"region": "x", name: "do-not-show"}, schema)
    assert refused.value.message == f"{file}: unknown setting config.{name}; did you mean config.{meant}?"
    refuse_misspelt(read_settings(file, {}), {"region": "x", "colour": "y"}, schema)  # the connector refuses it
    refuse_misspelt(read_settings(file, {}), {name: "y"}, {"properties": schema["properties"]})


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
    file = tmp_path / "none.toml"
    with pytest.raises(ConfigurationError) as refused:
        read_settings(file, {})
    assert refused.value.message == f"The configuration file {file} cannot be read: No such file or directory."
    assert f"ploy-connector setup --config {file}" in str(refused.value.fix)


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


def test_names_of_the_file_are_added_to_those_of_the_settings(tmp_path: Path) -> None:
    settings = read_settings(write(tmp_path, f'{FILE}[names]\n111122223333 = "Production"\n12 = "B"\n'), {})
    assert settings.with_names({"region": "r", "names": {"12": "A", "13": "C"}}) == {
        "region": "r",
        "names": {"12": "B", "13": "C", "111122223333": "Production"},
    }
    assert settings.with_platform_config({}).with_names({}) == {"names": settings.names}
    assert settings.locate("config.names") == f"{tmp_path / 'ploy.toml'}: names"
    assert read_settings(write(tmp_path, FILE), {}).with_names({"names": {"12": "A"}}) == {"names": {"12": "A"}}


def test_name_of_the_file_that_is_no_text_is_rejected_with_its_id(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"ploy\.toml: names\.12 is wrong: it must be text, in quotes"):
        read_settings(write(tmp_path, f"{FILE}[names]\n12 = 3\n"), {})
