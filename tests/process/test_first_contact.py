"""The mistakes of newcomers, and commands whose output cannot be written."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from tests.deadlines import PATIENCE_SECONDS
from tests.end_to_end.sync_harness import Site

from .conftest import COMMAND, clean_environment, run, run_with

CONFIG = {
    "account_id": "111122223333",
    "region": "eu-west-1",
    "role_arn": "arn:aws:iam::111122223333:role/Ploy",
    "external_id": "8b6f2f0e-5a76-4a57-9a3e-0f0a40a4d9b1",
}


def write(path: Path, tables: Mapping[str, Mapping[str, Any]]) -> Path:
    lines = [
        line
        for table, values in tables.items()
        for line in (f"[{table}]", *(f"{name} = {json.dumps(value)}" for name, value in values.items()))
    ]
    path.touch(mode=0o600)
    path.write_text("\n".join(lines))
    return path


def without(name: str) -> dict[str, str]:
    return {each: value for each, value in CONFIG.items() if each != name}


WRONG: dict[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "a misspelt setting of a connector": (
        {"config": {**without("region"), "regoin": "eu-west-1"}},
        {},
        "{file}: unknown setting config.regoin; did you mean config.region?",
    ),
    "an unknown setting of a connector": (
        {"config": {**CONFIG, "colour": "red"}},
        {},
        "{file}: config.colour: Unknown setting colour; ",
    ),
    "a missing setting of a connector": (
        {"config": without("role_arn")},
        {},
        "{file}: config.role_arn: The setting role_arn is missing.",
    ),
    "a wrong type": (
        {"config": {**CONFIG, "change_groups": "no"}},
        {},
        "{file}: config.change_groups: Change group memberships must be yes or no; in a file, true or false.",
    ),
    "a wrong value": (
        {"config": {**CONFIG, "region": "mars-1"}},
        {},
        "{file}: config.region: Region must be the name of an AWS Region, e.g. eu-west-1",
    ),
    "a secret that is wrong": (
        {"config": {**CONFIG, "external_id": "do-not-show me"}},
        {},
        "{file}: config.external_id: The external ID contains white space",
    ),
    "a wrong variable": (
        {"config": CONFIG},
        {"PLOY_CONFIG_REGION": "mars-1"},
        "PLOY_CONFIG_REGION: config.region: Region must be the name of an AWS Region, e.g. eu-west-1",
    ),
    "a misspelt variable": (
        {"config": CONFIG},
        {"PLOY_CONFIG_REGOIN": "eu-west-1"},
        "PLOY_CONFIG_REGOIN: unknown setting config.regoin; did you mean config.region?",
    ),
    "a connector that is not installed": (
        {"integration": {"connector": "gcp"}, "config": CONFIG},
        {},
        "{file}: integration.connector: There is no connector 'gcp' here; installed: aws.",
    ),
    "a connector that is not installed, in a variable": (
        {"config": CONFIG},
        {"PLOY_CONNECTOR": "gpc"},
        "PLOY_CONNECTOR: integration.connector: There is no connector 'gpc' here; installed: aws.",
    ),
    "an address that is none": (
        {"platform": {"url": "ploy.example", "token": "t"}},
        {},
        "{file}: platform.url: Ploy's address is not an https address.",
    ),
    "a token that is none": (
        {"platform": {"token": "do-not-show me"}},
        {},
        "{file}: platform.token: Ploy's token is empty or has invalid characters",
    ),
    "no token": (
        {"platform": {"url": "https://ploy.example"}},
        {},
        "{file}: platform.token: Give Ploy's token either as",
    ),
    "a token file that is not there": (
        {"platform": {"url": "http://127.0.0.1:9", "token_file": "/no/such"}},
        {},
        "{file}: platform.token_file: The token file /no/such cannot be read: No such file or directory.",
    ),
    "a table that is none": ({"plattform": {"url": "x"}}, {}, "{file}: unknown setting plattform; did you mean"),
}
"""Files, variables, and what each command says of them: the file or variable and the setting first."""


@pytest.mark.parametrize("command", ["check", "sync", "list accounts", "access ana", "revoke ana admins --yes"])
def test_each_command_names_the_file_and_the_setting(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = {}
    for name, (tables, variables, message) in WRONG.items():
        file = write(tmp_path / "try.toml", tables)
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables}
        if command == "sync" and "platform" not in tables:
            environment |= {"PLOY_TOKEN": "t", "PLOY_URL": "http://127.0.0.1:9"}
        code, out, err = run_with(environment, *command.split(), "--config", str(file))
        expected = f"Error: {message.format(file=file)}"
        if code != Exit.CONFIGURATION or not err.startswith(expected) or "do-not-show" in out + err:
            wrong[name] = (code, err)
    assert wrong == {}


@pytest.mark.parametrize("command", ["check", "list accounts", "history", "access ana"])
def test_a_connector_that_is_not_installed_is_an_error_also_where_ploy_or_a_snapshot_has_another(
    site: Site, command: str
) -> None:
    assert run(site, "sync")[0] == Exit.OK
    file = site.world.config_file
    file.write_text(file.read_text().replace('connector = "aws"', 'connector = "gcp"'))
    code, _, err = run(site, *command.split())
    assert (code, err.startswith(f"Error: {file}: integration.connector: There is no connector 'gcp' here")) == (
        Exit.CONFIGURATION,
        True,
    ), err


def test_missing_file_and_missing_option_have_different_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    # What the sandbox's environment file sets is no setting of the integration.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PLOY_AWS_RATE_FACTOR": "50"}
    errors = [run_with(environment, "check")[2]]
    errors.append(run_with(environment, "check", "--config", "try-it/ploy.toml")[2])
    (tmp_path / "ploy.toml").touch()
    errors.append(run_with(environment, "check")[2])
    assert [each.splitlines() for each in errors] == [
        [
            "Error: No configuration: give --config FILE, or set the environment variables.",
            "Fix: run ploy-connector setup, then add --config ploy.toml",
        ],
        [
            "Error: The configuration file try-it/ploy.toml cannot be read: No such file or directory.",
            "Fix: correct the path, or: ploy-connector setup --config try-it/ploy.toml writes the file",
        ],
        [
            "Error: No configuration: give --config FILE, or set the environment variables.",
            "Fix: add --config ploy.toml to the command",
        ],
    ]


def test_check_ends_with_the_status_of_the_failure(site: Site, tmp_path: Path) -> None:
    """As docs/reference/commands.md has it: 4 for credentials, 6 for what cannot be reached, 5 for the rest."""
    environment = clean_environment(site)
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    ended = {
        "no credentials": {name: value for name, value in environment.items() if name not in keys},
        "wrong credentials": {**environment, "AWS_SECRET_ACCESS_KEY": "wrong"},
        "unreachable": {**environment, **nowhere},
    }
    file = str(site.world.config_file)
    codes = {name: run_with(variables, "check", "--config", file)[0] for name, variables in ended.items()}
    site.world.allow_without("identitystore:ListUsers")
    codes["a permission"] = run(site, "check")[0]
    trusted = {"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "sts:AssumeRole"}
    site.world.aws.accounts.set_trust_policy(site.world.role_arn, {"Version": "2012-10-17", "Statement": [trusted]})
    codes["not trusted"] = run(site, "check")[0]
    assert codes == {
        "no credentials": Exit.AUTHENTICATION,
        "wrong credentials": Exit.AUTHENTICATION,
        "unreachable": Exit.TRY_AGAIN,
        "a permission": Exit.PERMISSION,
        "not trusted": Exit.AUTHENTICATION,
    }


def json_lines_of(site: Site, *command: str) -> list[str]:
    _, _, err = run(site, *command)
    return [line for line in err.splitlines() if line.startswith("{")]


def test_command_that_ends_by_itself_logs_no_json(site: Site) -> None:
    assert json_lines_of(site, "list", "accounts", "--debug") == []


@pytest.mark.soak
def test_no_command_that_ends_by_itself_logs_json(site: Site) -> None:
    site.world.allow_without("identitystore:ListUsers")
    for command in (["check"], ["sync"], ["sync", "--preview"], ["list", "accounts"], ["history"], ["access", "ana"]):
        for option in ([], ["--debug"], ["--json"]):
            assert json_lines_of(site, *command, *option) == [], command


COMMANDS = (
    "manifest --json",
    *(
        pytest.param(each, marks=pytest.mark.soak)
        for each in ("--help", "check --help", "manifest", "list accounts", "list accounts --json")
    ),
)


@pytest.mark.parametrize("command", COMMANDS)
def test_unwritable_output_has_its_own_exit_status(site: Site, command: str) -> None:
    """A reader that has ended is no error; a full device is one."""
    typed = [COMMAND, *command.split()]
    if command.startswith("list"):
        typed += ["--fresh", "--config", str(site.world.config_file)]
    reader, writer = os.pipe()
    os.close(reader)
    with Path("/dev/full").open("wb") as full:
        ended = [
            subprocess.run(
                typed,
                stdout=output,
                stderr=subprocess.PIPE,
                env=clean_environment(site),
                text=True,
                check=False,
                timeout=PATIENCE_SECONDS,
            )
            for output in (writer, full)
        ]
    os.close(writer)
    assert [each.returncode for each in ended] == [Exit.BROKEN_PIPE, Exit.STATE]
    assert ended[0].stderr == ""
    assert ended[1].stderr.splitlines()[0] == "Error: The output cannot be written: No space left on device."


def test_commands_in_a_fix_work_as_printed(site: Site) -> None:
    """They name the configuration file that the command itself was given."""
    file = str(site.world.config_file)
    _, _, err = run(site, "history")
    assert err.splitlines()[-1] == f"Fix: ploy-connector sync --config {file}"
    site.settings.snapshot_path.parent.mkdir(exist_ok=True)
    site.settings.snapshot_path.write_text("not a database, whatever its name says" * 50)
    _, _, err = run(site, "sync")
    assert f"ploy-connector sync --rebuild --config {file} sets the file aside" in err
    assert re.findall(r"<[a-z ]+>|\bFILE\b|\bNAME\b", err) == []
