"""The variables of docs/reference/commands.md, each in the environment of a command."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from tests.end_to_end.sync_harness import Site

from .conftest import clean_environment, run_with

COMMANDS = (Path(__file__).parents[2] / "docs" / "reference" / "commands.md").read_text()

WRONG = {
    "PLOY_INTEGRATION_ID": ("int-unknown", Exit.CONFIGURATION, "Ploy has no integration 'int-unknown'"),
    "PLOY_CONNECTOR": ("none", Exit.CONFIGURATION, "There is no connector 'none' here"),
    "PLOY_URL": ("http://ploy.example", Exit.CONFIGURATION, "PLOY_URL: platform.url: Ploy's address is not encrypted"),
    "PLOY_TOKEN": ("wrong-token", Exit.AUTHENTICATION, "token"),
    "PLOY_TOKEN_FILE": (
        "/no/such/token",
        Exit.CONFIGURATION,
        "PLOY_TOKEN_FILE: platform.token_file: The token file /no/such/token cannot be read",
    ),
    "PLOY_STATE_DIR": ("/dev/null/state", Exit.STATE, "cannot be used"),
    "PLOY_CONFIG_REGION": ("mars-1", Exit.CONFIGURATION, "Region must be the name of an AWS Region"),
    "PLOY_AWS_RATE_FACTOR": ("fast", Exit.CONFIGURATION, "PLOY_AWS_RATE_FACTOR must be a positive number"),
}
"""A value that is wrong, how the command then ends, and what it says: so it must have been the variable's value."""


def run(site: Site, variables: Mapping[str, str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command: its exit code, and the document that it printed."""
    code, out, err = run_with({**clean_environment(site), **variables}, *arguments, "--json")
    assert out, err
    document: dict[str, Any] = json.loads(out)
    return code, document


@pytest.fixture
def config(site: Site) -> dict[str, str]:
    """The variable that names the configuration file, whose settings come from Ploy."""
    return {"PLOY_CONFIG_FILE": str(site.world.config_file)}


def test_every_documented_variable_is_tested() -> None:
    # AWS_ENDPOINT_URL is what leads each of these commands to the local AWS.
    listed = set(re.findall(r"^\| `([A-Z_<>]+)` \|", COMMANDS, re.M)) - {"AWS_ENDPOINT_URL", "PLOY_CONFIG_<NAME>"}
    assert listed == {*WRONG, "PLOY_CONFIG_FILE"} - {"PLOY_CONFIG_REGION"}


def test_file_variable_is_not_a_setting_of_the_connector(site: Site, config: dict[str, str]) -> None:
    code, printed = run(site, config, "check")
    assert (code, printed["usable"]) == (Exit.OK, True)


@pytest.mark.parametrize("variable", WRONG)
def test_each_variable_takes_precedence_over_the_file(site: Site, tmp_path: Path, variable: str) -> None:
    value, ending, sentence = WRONG[variable]
    file = site.world.config_file
    if variable == "PLOY_CONNECTOR":  # with settings from Ploy, Ploy says of which connector they are
        file = tmp_path / "own.toml"
        file.write_text(site.world.config_file.read_text() + "[config]\n")
    code, printed = run(site, {variable: value}, "sync", "--config", str(file))
    assert (code, sentence in printed["error"]["message"]) == (ending, True), printed


def test_variable_overrides_one_setting_of_ploy_only(site: Site, config: dict[str, str]) -> None:
    code, _ = run(site, {**config, "PLOY_CONFIG_REGION": "eu-north-1"}, "check")
    assert (code, {call.region for call in site.world.aws.calls.to("AssumeRole")}) == (Exit.OK, {"eu-north-1"})


def test_external_id_of_ploy_cannot_be_overridden(site: Site, config: dict[str, str]) -> None:
    chosen = "chosen-by-a-person-0001"
    code, printed = run(site, {**config, "PLOY_CONFIG_EXTERNAL_ID": chosen}, "check")
    assert (code, printed["error"]["fix"]) == (Exit.CONFIGURATION, "unset PLOY_CONFIG_EXTERNAL_ID")
    assert (chosen in str(printed), site.world.aws.calls.to("AssumeRole")) == (False, [])


def test_list_is_formatted_with_commas(site: Site, config: dict[str, str]) -> None:
    scopes = "identity-center/users, identity-center/groups"
    code, printed = run(site, {**config, "PLOY_CONFIG_SCOPES": scopes}, "sync")
    assert (code, printed["added"]) == (Exit.OK, {"account": 4, "entitlement": 3, "grant": 5})


def test_state_variable_names_the_folder(site: Site, config: dict[str, str], tmp_path: Path) -> None:
    code, _ = run(site, {**config, "PLOY_STATE_DIR": str(tmp_path / "state")}, "sync")
    assert (code, (tmp_path / "state" / f"{site.integration_id}.sqlite").exists()) == (Exit.OK, True)
    assert not site.settings.snapshot_path.exists()
