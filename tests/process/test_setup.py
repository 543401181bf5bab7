"""A whole set-up at the terminal: from nothing to a proven connection, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import select
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ploy_connector_aws.cli.endings import Exit
from tests.deadlines import PATIENCE_SECONDS
from tests.end_to_end.site import Site

from .conftest import COMMAND, clean_environment, run


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
def terminal(site: Site, folder: Path, *arguments: str) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    """Start a set-up in a folder, which is also the person's home."""
    with subprocess.Popen(
        [COMMAND, "setup", *arguments],
        cwd=folder,
        env={**clean_environment(site), "HOME": str(folder)},
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


def test_a_set_up_from_nothing_to_a_proven_connection(site: Site, tmp_path: Path) -> None:
    account_id = site.seeded.organisation.owner_account_id
    home = tmp_path / "home"
    home.mkdir()
    with terminal(site, home, "--debug") as (person, process):
        person.answer("AWS account ID: ", "1234")
        dashed = "-".join((account_id[:4], account_id[4:8], account_id[8:]))
        assert "must be the 12 digits" in person.answer("AWS account ID: ", dashed)
        person.answer("Region: ", "eu-atlantis-1")
        assert "must be the name of an AWS Region" in person.answer("Region: ", "eu-west-1")
        person.answer("Leave out", "lambda/functions, granting")
        person.answer("Add", "")
        shown = person.answer("Enter to go on", "")
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
        person.answer("Try the connection now?", "y")
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


def test_where_ploy_keeps_the_settings_the_external_id_is_the_stored_one_and_nothing_is_written(
    site: Site, tmp_path: Path
) -> None:
    file = site.world.config_file
    before = file.read_bytes()
    external_id = str(site.world.integration.settings["external_id"])

    code, out, err = run(site, "setup", "--print", "trust-policy")
    assert (code, external_id in out, err) == (Exit.OK, True, "")

    with terminal(site, tmp_path, "--config", str(file)) as (person, process):
        shown = person.answer("Enter to go on", "")
        assert f"AWS account ID: {site.seeded.organisation.owner_account_id}" in shown
        assert f"External ID: {external_id}" in person.answer("Enter to go on", "")
        person.answer("Show instead", "")
        person.answer("Explain each permission?", "")
        assert f"Role ARN: {site.world.role_arn}" in person.answer("Try the connection now?", "")
        out_bytes, err_bytes = process.communicate(timeout=PATIENCE_SECONDS)

    assert (process.returncode, out_bytes.decode().count("✓") > 20, err_bytes) == (Exit.OK, True, b"")
    assert (file.read_bytes(), [path for path in tmp_path.rglob("ploy.toml") if path != file]) == (before, [])
