"""The output of ``setup --print``, and the steps of any connector with a wizard."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from ploy_connector_aws.cli.app import app
from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.cli.prompts import WizardPrompts
from ploy_connector_aws.host import SetupSession, check_connector
from ploy_connector_aws.spec import (
    ConfigurationError,
    ConnectionReport,
    Document,
    Feature,
    Manifest,
    Page,
    Step,
    Wizard,
    WizardField,
    hookimpl,
)
from tests.aws.conftest import SEED_POLICY

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for each test, because the command looks for a file in the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, typed: str = "") -> Result:
    return CliRunner().invoke(app, ["setup", *arguments], input=typed)


def write_file(folder: Path, **config: Any) -> str:
    """Write a configuration as an earlier set-up left it; return its external ID."""
    external_id = "0b9f6c52-8b50-4c0e-8a5e-4f4f1a5a7a11"
    lines = [f"{name} = {json.dumps(value)}" for name, value in {"external_id": external_id, **config}.items()]
    file = folder / "ploy.toml"
    file.touch(mode=0o600)
    file.write_text("\n".join(["[config]", *lines]))
    return external_id


def test_print_policy_prints_nothing_else() -> None:
    done = run("--print", "policy")

    assert (done.exit_code, json.loads(done.stdout), done.stderr) == (Exit.OK, SEED_POLICY, "")


def test_printed_policy_covers_the_chosen_features_only() -> None:
    done = run("--print", "policy", "--without", "identity-center", "--without", "resources", "--json")

    printed = json.loads(done.stdout)
    assert (printed["id"], printed["features"], printed["generated"]) == ("policy", ["iam"], [])
    assert [each["Action"][0] for each in json.loads(printed["text"])["Statement"]] == [
        "iam:GetAccountAuthorizationDetails"
    ]


def test_printed_policy_covers_the_scopes_of_the_configuration(folder: Path) -> None:
    write_file(folder, scopes=["s3/buckets"])

    statements = json.loads(run("--print", "policy").stdout)["Statement"]

    assert [each["Action"] for each in statements] == [["s3:ListAllMyBuckets"]]


@pytest.mark.parametrize("scopes", [[], ["nonsense"], ["iam", "nonsense"], "iam", [{"iam": 1}]])
def test_invalid_scopes_in_the_file_are_a_configuration_error(folder: Path, scopes: Any) -> None:
    if scopes == [{"iam": 1}]:
        write_file(folder)
        (folder / "ploy.toml").write_text("[config]\nscopes = [{iam = 1}]\n")
    else:
        write_file(folder, scopes=scopes)

    done = run("--print", "policy")

    assert isinstance(done.exception, ConfigurationError)
    assert done.exception.field == "scopes"
    assert "one or more of these: identity-center, identity-center/users" in done.exception.message
    assert done.stdout == ""


@pytest.mark.parametrize("id_", ["trust-policy", "cloudformation", "terraform", "link"])
def test_each_print_generates_an_external_id_and_warns(id_: str) -> None:
    first, second = run("--print", id_), run("--print", id_)

    ids = [GUID.findall(done.stdout) for done in (first, second)]
    assert [len(found) for found in ids] == [1, 1]
    assert ids[0] != ids[1]
    assert "External ID: generated for this output only" in first.stderr
    assert "the outputs of two runs do not match. Run ploy-connector setup first" in first.stderr
    assert GUID.findall(first.stderr) == []
    as_json = run("--print", id_, "--json")
    assert (json.loads(as_json.stdout)["generated"], as_json.stderr) == (["external_id"], first.stderr)


@pytest.mark.parametrize("id_", ["trust-policy", "cloudformation", "terraform", "link"])
def test_print_uses_the_external_id_of_the_configuration(folder: Path, id_: str) -> None:
    external_id = write_file(folder)

    done = run("--print", id_)

    assert (GUID.findall(done.stdout), done.stderr) == ([external_id], "")


def test_external_id_cannot_be_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = "0b9f6c52-8b50-4c0e-8a5e-4f4f1a5a7a22"
    done = run("--print", "link", "--set", f"external_id={chosen}")
    assert (done.exit_code, chosen in done.output) == (Exit.USAGE, False)
    assert "generated for each integration" in " ".join(done.stderr.replace("│", "").split())

    monkeypatch.setenv("PLOY_CONFIG_EXTERNAL_ID", chosen)
    for arguments in ((), ("--print", "link"), ("--print", "policy")):
        done = run(*arguments, typed=ANSWERS)
        assert isinstance(done.exception, ConfigurationError)
        assert (done.exception.field, done.exception.fix) == ("external_id", "unset PLOY_CONFIG_EXTERNAL_ID")
        assert chosen not in f"{done.output}{done.exception}"


def test_printed_policy_honours_environment_variables(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(folder, scopes=["iam"])
    monkeypatch.setenv("PLOY_CONFIG_SCOPES", "s3/buckets")

    statements = json.loads(run("--print", "policy").stdout)["Statement"]

    assert [each["Action"] for each in statements] == [["s3:ListAllMyBuckets"]]


def test_quick_create_link_needs_the_operators_values() -> None:
    values = [
        *("--set", "cloudformation_template_url=https://b.s3.eu-west-1.amazonaws.com/ploy.yaml"),
        *("--set", "cloudformation_template_region=eu-west-1"),
    ]

    assert isinstance(run("--print", "quick-create-link").exception, ConfigurationError)
    assert isinstance(run("--print", "quick-create-link", *values, "--without", "iam").exception, ConfigurationError)
    assert "templateURL=https%3A%2F%2Fb.s3." in run("--print", "quick-create-link", *values).stdout
    wrong = "cloudformation_template_url=https://example.com/ploy.yaml"
    assert run("--print", "quick-create-link", "--set", wrong).exit_code == Exit.USAGE


@pytest.mark.parametrize(
    "arguments",
    [
        ("--print", "nothing"),
        ("--print", "policy", "--without", "nothing"),
        ("--print", "policy", "--with", "nothing"),
        ("--print", "policy", "--without", "resources", "--without", "iam", "--without", "identity-center"),
        ("--print", "policy", "--set", "region"),
        ("--print", "policy", "--set", "scopes=iam"),
        ("--print", "policy", "--set", "account_id=12"),
        ("--json",),
    ],
)
def test_invalid_arguments_are_rejected(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == Exit.USAGE


def test_configuration_is_not_replaced_without_overwrite(folder: Path) -> None:
    write_file(folder)
    before = (folder / "ploy.toml").read_text()

    done = run(typed="\n" * 20)

    assert isinstance(done.exception, ConfigurationError)
    assert (done.stdout, (folder / "ploy.toml").read_text()) == ("", before)


ANSWERS = "111122223333\neu-west-1\n\n\n\n\n\n\n"
"""Account, Region, nothing left out or added, no alternative, no explanations, the suggested role; Enter between."""


def test_replaced_configuration_gets_a_new_external_id(folder: Path) -> None:
    external_id = write_file(folder, account_id="999988887777", scopes=["iam"])

    done = run("--without-ploy", "--overwrite", typed=f"{ANSWERS}n\n")

    assert (done.exit_code, external_id in done.stdout) == (Exit.OK, False)
    written = (folder / "ploy.toml").read_text()
    assert (external_id in written, "999988887777" in written, "scopes" in written) == (False, False, False)


@pytest.mark.parametrize(
    ("option", "first"), [("--overwrite", "This set-up creates an integration in Ploy"), ("--without-ploy", "")]
)
def test_file_of_an_integration_at_ploy_is_replaced_with_overwrite_only(folder: Path, option: str, first: str) -> None:
    file = folder / "ploy.toml"
    file.touch(mode=0o600)
    file.write_text('[integration]\nid = "int-1"\n[platform]\nurl = "http://127.0.0.1:9"\ntoken = "t"\n')
    done = run(option)
    assert isinstance(done.exception, ConfigurationError)
    assert ("already" in done.exception.message, done.stdout.startswith(first)) == (option == "--without-ploy", True)
    assert "int-1" in file.read_text()


def test_value_given_with_set_is_suggested(folder: Path) -> None:
    done = run("--without-ploy", "--set", "region=us-east-2", typed=ANSWERS.replace("eu-west-1", "") + "n\n")

    assert done.exit_code == Exit.OK
    assert 'region = "us-east-2"' in (folder / "ploy.toml").read_text()


@pytest.mark.parametrize("lines", range(8))
def test_input_that_ends_early_writes_nothing(folder: Path, lines: int) -> None:
    done = run("--without-ploy", typed="".join(ANSWERS.splitlines(keepends=True)[:lines]))

    assert isinstance(done.exception, ConfigurationError)
    assert "nothing was written" in str(done.exception)
    assert list(folder.iterdir()) == []


class Staff:
    """A connector for anything but AWS, with every kind of field."""

    manifest = Manifest(
        name="staff",
        title="Staff list",
        version="1",
        spec_version=1,
        description="",
        config_schema={
            "type": "object",
            "properties": {
                "host": {
                    "type": "string",
                    "title": "Host",
                    "pattern": "^[a-z.]+$",
                    "x-ploy-error-message": "must be a name",
                },
                "port": {"type": "integer", "title": "Port"},
                "token": {"title": "Token", "anyOf": [{"type": "string", "writeOnly": True}, {"type": "null"}]},
                "sites": {"type": "array", "title": "Sites"},
                "is_strict": {"type": "boolean", "title": "Strict"},
                "secret": {"type": "string", "title": "Shared secret", "writeOnly": True},
                "with_rooms": {"type": "boolean"},
                "certificate": {"type": "string", "title": "Certificate", "contentMediaType": "application/x-pem-file"},
            },
            "required": ["port", "certificate"],
        },
        features=(Feature(name="rooms", title="Rooms", is_default=False, setting="with_rooms"),),
        wizard=Wizard(
            steps=(
                Step(
                    id="all",
                    title="All",
                    text=("Enter all.",),
                    fields=(
                        WizardField(name="host"),
                        WizardField(name="port"),
                        WizardField(name="token"),
                        WizardField(name="sites"),
                        WizardField(name="is_strict"),
                        WizardField(name="secret", source="host"),
                    ),
                ),
                Step(
                    id="rest",
                    title="The rest",
                    text=(),
                    fields=(WizardField(name="certificate"),),
                    asks_features=True,
                    documents=(
                        Document(id="hosts", title="Hosts", language="text", file_name="h", template="{{ host }} [b]"),
                    ),
                ),
            )
        ),
    )

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        if config["port"] > 65535:
            raise ConfigurationError("The port is too high.", field="port")
        self.certificate = config["certificate"]

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        return ConnectionReport(checks=())

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield Page(scope="people", complete=True)


def test_any_connector_is_set_up_from_its_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    staff = check_connector("staff", Staff)
    session = SetupSession(staff.manifest, {})
    session.choose((), ())
    typed = [
        "Up",
        "up.example",
        "many",
        "70000",
        "tok[e]n",
        "tok[e]n8",
        "a, b",
        "maybe",
        "yes",
        "443",
        "-----BEGIN-----",
        "Proc-Type: 4",
        "",
        "AAAA",
        ".",
        "",
        "roms",
        "",
        "rooms",
        "",
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join([*typed, ""])))
    shown = io.StringIO()

    WizardPrompts(Console(file=shown, width=80), session, staff, is_asking=True).run()

    settings = session.settings()
    assert GUID.fullmatch(str(settings.pop("secret")))
    assert settings == {
        "host": "up.example",
        "port": 443,
        "token": "tok[e]n8",
        "sites": ["a", "b"],
        "is_strict": True,
        "with_rooms": True,
        "certificate": "-----BEGIN-----\nProc-Type: 4\n\nAAAA\n",
    }
    errors = re.findall(r"! (.+)", shown.getvalue())
    assert [each.split(";")[0] for each in errors] == [
        "Host must be a name.",
        "Port must be a whole number.",
        "Token must have 8 characters or more, as it is a secret.",
        "Strict must be yes or no",
        "The port is too high.",
        "Unknown feature 'roms'",
    ]
    assert "up.example [b]" in shown.getvalue()
    assert "tok[e]n" not in shown.getvalue()


@pytest.mark.parametrize("is_asking", [True, False])
def test_a_saved_secret_that_may_be_null_is_not_printed(monkeypatch: pytest.MonkeyPatch, is_asking: bool) -> None:
    staff = check_connector("staff", Staff)
    session = SetupSession(staff.manifest, {"host": "up", "port": 443, "token": "saved-token-1", "certificate": "AAAA"})
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n" * 5 + ".\n" + "\n" * 9))
    shown = io.StringIO()
    WizardPrompts(Console(file=shown, width=80), session, staff, is_asking=is_asking).run()
    assert session.values["token"] == "saved-token-1"
    assert ("Port [443]: " if is_asking else "Token: set") in shown.getvalue()
    assert "saved-token-1" not in shown.getvalue()
