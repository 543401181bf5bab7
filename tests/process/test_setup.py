"""A complete set-up at the terminal, up to a proven connection, and the files that it writes."""

from __future__ import annotations

import io
import json
import os
import re
import select
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.platform import wire
from tests.deadlines import PATIENCE_SECONDS
from tests.end_to_end.sync_harness import Site

from .conftest import COMMAND, clean_environment, run, run_with


class Terminal:
    """A person at a terminal: reads until something is asked, and answers."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.shown = ""

    def answer(self, question: str, text: str) -> str:
        """Wait for the question, and answer it; gives what was shown since the last answer."""
        assert self._process.stdout is not None
        assert self._process.stdin is not None
        since = len(self.shown)
        while question not in self.shown[since:]:
            ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE_SECONDS)
            more = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            assert more, self.shown[since:]
            self.shown += more.decode()
        self._process.stdin.write(f"{text}\n".encode())
        self._process.stdin.flush()
        return self.shown[since:]


@contextmanager
def terminal(
    site: Site, folder: Path, *arguments: str, variables: Mapping[str, str] | None = None
) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    """Start a set-up in a folder, which is also the person's home."""
    with subprocess.Popen(
        [COMMAND, "setup", *arguments],
        cwd=folder,
        env={**clean_environment(site), "HOME": str(folder), **(variables or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield Terminal(process), process
        finally:
            process.kill()


def document(shown: str) -> dict[str, object]:
    """The JSON document among what was shown."""
    found = re.search(r"^\{$.*?^\}$", shown, re.M | re.S)
    assert found is not None, shown
    read: dict[str, object] = json.loads(found[0])
    return read


def test_set_up_leads_to_a_proven_connection(site: Site, tmp_path: Path) -> None:
    account_id = site.seeded.organisation.owner_account_id
    home = tmp_path / "home"
    home.mkdir()
    with terminal(site, home, "--without-ploy", "--debug") as (person, process):
        person.answer("AWS account ID: ", "1234")
        dashed = "-".join((account_id[:4], account_id[4:8], account_id[8:]))
        assert "must be the 12 digits" in person.answer("AWS account ID: ", dashed)
        person.answer("Region: ", "eu-atlantis-1")
        assert "must be the name of an AWS Region" in person.answer("Region: ", "eu-west-1")
        person.answer("Leave out", "lambda/functions, granting")
        person.answer("Add", "")
        shown = person.answer("Press Enter to continue", "")
        (external_id,) = re.findall(r"External ID: (\S+)", shown)
        shown = person.answer("Show instead", "terraform")
        trust = document(shown)
        assert "externalId=" + external_id in shown
        assert external_id in person.answer("Show instead", "")
        policy = document(person.answer("Explain each permission?", "y"))
        # What the person does in the AWS console with what was shown.
        role_arn = site.world.aws.accounts.create_role(account_id, "PloyByHand", trust, policy)
        explained = person.answer("Role ARN", "arn:aws:iam::999988887777:role/PloyByHand")
        assert ("iam:ListRoles" in explained, "lambda:" in explained) == (True, False)
        assert "is in the AWS account 999988887777" in person.answer("Role ARN", role_arn)
        person.answer("Test the connection now?", "y")
        out, err = process.communicate(timeout=PATIENCE_SECONDS)

    assert (process.returncode, out.decode().count("✓") > 20, "✗" in out.decode()) == (Exit.OK, True, False), (
        err.decode()
    )
    (written,) = [path for path in home.rglob("*") if path.is_file()]
    assert (written, stat.S_IMODE(written.stat().st_mode)) == (home / "ploy.toml", 0o600)
    config = tomllib.loads(written.read_text())
    assert config["integration"] == {"connector": "aws"}
    assert {name: value for name, value in config["config"].items() if name != "scopes"} == {
        "account_id": account_id,
        "region": "eu-west-1",
        "role_arn": role_arn,
        "external_id": external_id,
        "change_groups": False,
    }
    assert "lambda/functions" not in config["config"]["scopes"]
    assert len(config["config"]["scopes"]) == 11
    assert not re.search("lambda:|CreateGroupMembership", json.dumps(policy))
    assert external_id not in err.decode()


def test_set_up_of_an_integration_at_ploy_uses_its_external_id_and_writes_nothing(site: Site, tmp_path: Path) -> None:
    file = site.world.config_file
    before = file.read_bytes()
    external_id = str(site.world.integration.settings["external_id"])

    code, out, err = run(site, "setup", "--print", "trust-policy")
    assert (code, external_id in out, err) == (Exit.OK, True, "")

    with terminal(site, tmp_path, "--config", str(file)) as (person, process):
        shown = person.answer("Press Enter to continue", "")
        assert f"AWS account ID: {site.seeded.organisation.owner_account_id}" in shown
        assert f"External ID: {external_id}" in person.answer("Press Enter to continue", "")
        person.answer("Show instead", "")
        person.answer("Explain each permission?", "")
        assert f"Role ARN: {site.world.role_arn}" in person.answer("Test the connection now?", "")
        out_bytes, err_bytes = process.communicate(timeout=PATIENCE_SECONDS)

    assert (process.returncode, out_bytes.decode().count("✓") > 20, err_bytes) == (Exit.OK, True, b"")
    assert (file.read_bytes(), [path for path in tmp_path.rglob("ploy.toml") if path != file]) == (before, [])


def begin_at_ploy(site: Site, person: Terminal) -> str:
    """Give Ploy's address and token, and have a new integration made; what was shown until then."""
    token = (site.world.folder / "token").read_text().strip()
    person.answer("Ploy's address [https://api.joinploy.com]: ", site.world.ploy.url)
    person.answer("Token, from Ploy's integrations page: ", token)
    assert site.integration_id in person.answer("Number of the one to use", "")
    assert token not in person.shown
    return person.shown


def made_at_ploy(site: Site) -> wire.Integration:
    (made,) = [each for each in site.world.ploy.registry.integrations() if each.integration.id != site.integration_id]
    return made.integration


def test_set_up_at_ploy_uses_its_external_id_and_writes_a_working_file(site: Site, tmp_path: Path) -> None:
    ploy, account_id = site.world.ploy, site.seeded.organisation.owner_account_id
    with terminal(site, tmp_path) as (person, process):
        assert begin_at_ploy(site, person).startswith("This set-up creates an integration in Ploy")
        assert "Created the integration int-" in person.answer("AWS account ID: ", account_id)
        issued = str(made_at_ploy(site).settings["external_id"])
        person.answer("Region: ", "eu-west-1")
        person.answer("Leave out", "resources, iam")
        person.answer("Add", "")
        assert f"External ID: {issued}" in person.answer("Press Enter to continue", "")
        trust = document(person.answer("Show instead", ""))
        policy = document(person.answer("Explain each permission?", ""))
        role_arn = site.world.aws.accounts.create_role(account_id, "PloyAtPloy", trust, policy)
        person.answer("Role ARN", role_arn)
        person.answer("Test the connection now?", "y")
        out, err = process.communicate(timeout=PATIENCE_SECONDS)

    file, own = tmp_path / "ploy.toml", made_at_ploy(site)
    assert (process.returncode, err) == (Exit.OK, b""), out.decode()
    assert out.decode().splitlines()[-1] == f"Next: {COMMAND} sync --config ploy.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    written = tomllib.loads(file.read_text())
    assert (written["integration"], set(written)) == (
        {"id": own.id, "connector": "aws"},
        {"integration", "platform"},
    )
    assert (own.settings["external_id"], own.settings["role_arn"]) == (issued, role_arn)
    assert (issued in file.read_text(), ploy.registry.integration(own.id).is_verified) == (False, True)
    environment = {**clean_environment(site), "PLOY_STATE_DIR": str(tmp_path / "state")}
    for command in ("check", "sync"):
        code, out_text, err_text = run_with(environment, command, "--config", str(file))
        assert (code, "Error" in err_text) == (Exit.OK, False), out_text
    assert len(ploy.view(own.id).generations()) == 1


@pytest.mark.soak
def test_check_completes_a_set_up_whose_test_failed(site: Site, tmp_path: Path) -> None:
    account_id = site.seeded.organisation.owner_account_id
    with terminal(site, tmp_path, "--without", "resources", "--without", "iam") as (person, process):
        begin_at_ploy(site, person)
        person.answer("AWS account ID: ", account_id)
        for question in ("Region: ", "Leave out", "Add", "Press Enter to continue"):
            person.answer(question, "eu-west-1" if question == "Region: " else "")
        trust = document(person.answer("Show instead", ""))
        policy = document(person.answer("Explain each permission?", ""))
        person.answer("Role ARN", f"arn:aws:iam::{account_id}:role/PloyLater")
        person.answer("Test the connection now?", "y")
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    own, environment = made_at_ploy(site), {**clean_environment(site), "PLOY_STATE_DIR": str(tmp_path / "state")}
    file = str(tmp_path / "ploy.toml")
    assert process.returncode == Exit.AUTHENTICATION
    assert out.decode().splitlines()[-1] == f"Next: {COMMAND} check --config ploy.toml"
    assert run_with(environment, "sync", "--config", file)[0] == Exit.REFUSED

    site.world.aws.accounts.create_role(account_id, "PloyLater", trust, policy)
    for command in ("check", "sync"):
        code, out_text, err_text = run_with(environment, command, "--config", file)
        assert (code, "Error" in err_text) == (Exit.OK, False), out_text
    assert site.world.ploy.registry.integration(own.id).is_verified


@pytest.mark.soak
def test_existing_integration_is_used_unchanged(site: Site, tmp_path: Path) -> None:
    (tmp_path / "token").write_text((site.world.folder / "token").read_text())
    variables = {"PLOY_URL": site.world.ploy.url, "PLOY_TOKEN_FILE": str(tmp_path / "token")}
    with terminal(site, tmp_path, variables=variables) as (person, process):
        person.answer("Number of the one to use", "7")
        assert "No such integration." in person.answer("Number of the one to use", "1")
        shown = person.answer("Press Enter to continue", "")
        assert f"AWS account ID: {site.seeded.organisation.owner_account_id}" in shown
        assert str(site.world.integration.settings["external_id"]) in person.answer("Press Enter to continue", "")
        person.answer("Show instead", "")
        person.answer("Explain each permission?", "")
        person.answer("Test the connection now?", "n")
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == Exit.OK
    assert out.decode().splitlines()[-1] == f"Next: {COMMAND} check --config ploy.toml"
    assert tomllib.loads((tmp_path / "ploy.toml").read_text()) == {
        "integration": {"id": site.integration_id, "connector": "aws"},
        "platform": {"url": site.world.ploy.url, "token_file": str(tmp_path / "token")},
    }
    assert len(site.world.ploy.registry.integrations()) == 1


UNREACHED: dict[tuple[str, ...], tuple[Exit, str]] = {
    ("http://ploy.example", "t"): (Exit.CONFIGURATION, "platform.url: Ploy's address is not encrypted"),
    ("{url}", "wrong-token"): (Exit.AUTHENTICATION, "Ploy does not accept the token."),
    ("{url}", "to ken"): (Exit.CONFIGURATION, "platform.token: Ploy's token is empty or has invalid characters"),
    ("http://127.0.0.1:9", "t"): (Exit.TRY_AGAIN, "could not be reached"),
    ("{url}",): (Exit.CONFIGURATION, "The input ended before the set-up was finished; nothing was written"),
}
"""What is answered, and how the set-up ends."""


def test_set_up_that_cannot_reach_ploy_writes_nothing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before, ended = set(tmp_path.iterdir()), {}
    for answers, (_, message) in UNREACHED.items():
        typed = "".join(f"{answer.format(url=site.world.ploy.url)}\n" for answer in answers)
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        code, out, err = run_with(clean_environment(site), "setup")
        ended[answers] = (code, message if message in err else err)
        assert "wrong-token" not in out + err
    assert (ended, set(tmp_path.iterdir())) == (UNREACHED, before)


@pytest.mark.soak
def test_set_up_without_ploy_announces_it_and_writes_a_working_file(site: Site, tmp_path: Path) -> None:
    account_id = site.seeded.organisation.owner_account_id
    with terminal(site, tmp_path, "--without-ploy") as (person, process):
        shown = person.answer("AWS account ID: ", account_id)
        assert shown.startswith("Without Ploy: this machine generates External ID, and")
        for question in ("Region: ", "Leave out", "Add"):
            person.answer(question, {"Region: ": "eu-west-1", "Leave out": "resources"}.get(question, ""))
        assert "Ploy made it" not in person.answer("Press Enter to continue", "")
        trust = document(person.answer("Show instead", ""))
        policy = document(person.answer("Explain each permission?", ""))
        person.answer("Role ARN", site.world.aws.accounts.create_role(account_id, "PloyAlone", trust, policy))
        person.answer("Test the connection now?", "y")
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (Exit.OK, b"")
    assert out.decode().splitlines()[-1] == f"Next: {COMMAND} list accounts --config ploy.toml"
    environment, file = {**clean_environment(site), "HOME": str(tmp_path)}, str(tmp_path / "ploy.toml")
    for command in (["list", "accounts"], ["access", "ana"]):
        code, out_text, err_text = run_with(environment, *command, "--config", file)
        assert (code, "Error" in err_text) == (Exit.OK, False), out_text
    assert len(site.world.ploy.registry.integrations()) == 1
