"""Commands with third-party connectors that misbehave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from tests.host.packages import GOOD, changed, point_to, write_distribution
from tests.process.conftest import run_with

COMMAND = str(Path(sys.executable).with_name("ploy-connector"))
DIST = "club-dist"
SECRET = "kn0ck-kn0ck-wh0s-there"


def install(folder: Path, source: str, distribution: str = DIST, name: str = "club") -> None:
    write_distribution(folder / "site", distribution, source, point_to(name, distribution))
    config = folder / "ploy.toml"
    config.write_text(
        f'[integration]\nconnector = "{name}"\n[config]\ntoken = "{SECRET}"\n[state]\ndir = "{folder / "state"}"\n'
    )
    config.chmod(0o600)


@pytest.fixture(autouse=True)
def _forget_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield
    for name in ("club_dist", "guilty_dist"):
        sys.modules.pop(name, None)


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process."""
    return run_with({"HOME": str(folder), "PLOY_CONFIG_FILE": str(folder / "ploy.toml")}, *arguments)


def run_process(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Run a command in a process of its own."""
    done = subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder / "site"), "HOME": str(folder)},
        cwd=folder,
    )
    return done.returncode, done.stdout, done.stderr


PRINTS = """
import os, subprocess, sys
print("at import")
""" + changed(
    "club",
    {
        "self.config = config": (
            'self.config = config; print("from print", config["token"]); os.write(1, b"from write\\n");'
            ' subprocess.run(["echo", "from child"]); sys.__stdout__.write("from python\\n");'
            ' import atexit; atexit.register(print, "at exit")'
        )
    },
)


def test_output_of_a_connector_goes_to_standard_error(tmp_path: Path) -> None:
    install(tmp_path, PRINTS)
    code, out, err = run_process(tmp_path, "list", "accounts", "--json", "--config", "ploy.toml")
    assert (code, [each["id"] for each in json.loads(out)["accounts"]]) == (Exit.OK, ["ann"])
    printed = ("at import", "from print", "from write", "from child", "from python", "at exit")
    assert [each for each in printed if each not in err] == []
    assert SECRET not in out + err


def test_broken_distribution_is_listed_and_stops_no_command(tmp_path: Path) -> None:
    install(tmp_path, GOOD.format(name="club"))
    write_distribution(tmp_path / "site", "guilty-dist", "print('x'); import nowhere\n", point_to("bad", "guilty-dist"))
    code, out, _ = run(tmp_path, "connectors", "--json")
    listed = json.loads(out)
    assert (code, [each["name"] for each in listed["connectors"]]) == (Exit.OK, ["aws", "club"])
    ((name, distribution, reason),) = [tuple(each.values()) for each in listed["refused"]]
    assert (name, distribution, "No module named 'nowhere'" in reason) == ("bad", "guilty-dist", True)
    assert "bad of distribution guilty-dist cannot be used: its entry point 'bad'" in run(tmp_path, "connectors")[1]
    assert run(tmp_path, "check")[0] == Exit.OK
    code, _, err = run(tmp_path, "manifest", "--connector", "bad")
    assert (code, "Connector distribution 'guilty-dist' was refused" in err) == (Exit.CONFIGURATION, True)


LIST = 'yield Page(scope="people", records=(Account(id="ann"),), complete=True)'
FIRST = 'yield Page(scope="people", complete=True); yield Page(scope="rooms"); '


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("self.absent()", "(AttributeError)"),
        ("raise SystemExit(0)", "(SystemExit)"),
        ("raise KeyboardInterrupt", "(KeyboardInterrupt)"),
        ("raise GeneratorExit", "(GeneratorExit)"),
        ('Account(id="x", status="alien")', "(ValidationError of Account): status literal_error"),
        ('yield {"scope": "rooms"}', "gave a dict where a Page is expected"),
        (
            'yield Page(scope="rooms", records=(Account(id="bob", display_name="\\ud800"),))',
            "display_name holds",
        ),
        ('yield Page(scope="rooms", records=(Account(id="b", tags={"x": "y" * 10**6}),))', "the account 'b' has 1000"),
        ('yield Page(scope="rooms", records=(Account(id="b", username=self.config["token"]),))', "a secret setting"),
    ],
)
def test_mistake_in_a_list_hook_fails_open_scopes_and_is_located(tmp_path: Path, last: str, message: str) -> None:
    install(tmp_path, changed("club", {LIST: f"{FIRST}{last}"}))
    code, out, err = run(tmp_path, "list", "accounts", "--json", "--debug")
    assert (code, json.loads(out)["accounts"]) == (Exit.UNPROVEN, [])
    assert message in err
    assert ("Traceback" in err) == ("raise" in last or "self.absent" in last or "alien" in last or "dict" in message)
    for part in ("club", "list_accounts", "rooms"):
        assert part in err
    if "Traceback" in err and "dict" not in message:
        assert "hook list_accounts, after 2 pages, last scope 'rooms', site/club_dist.py line 2" in err
    assert SECRET not in out + err


GRANT = """
    @hookimpl
    def grant(self, request):
        {body}
"""
EDGE = 'Grant(principal_kind="account", principal_id=request.account_id, entitlement_id={0})'
NOW = "__import__('datetime').datetime.now(__import__('datetime').UTC)"


@pytest.mark.parametrize(
    ("body", "arguments", "code", "message"),
    [
        (
            f'return AccessChange(outcome="applied", verified_at={NOW}, scope="g",'
            f" added=({EDGE.format('request.entitlement_id')},))",
            ("--preview",),
            Exit.BUG,
            "'applied' answers a preview",
        ),
        (
            f'return AccessChange(outcome="applied", verified_at={NOW}, scope="g", added=({EDGE.format(repr("o"))},))',
            (),
            Exit.BUG,
            "the requested grant is not among what it added",
        ),
        (
            f'return AccessChange(outcome="applied", verified_at={NOW}.replace(year=2099), scope="g",'
            f" added=({EDGE.format('request.entitlement_id')},))",
            (),
            Exit.BUG,
            "it was not verified during the attempt",
        ),
        (f'return AccessChange(outcome="already_in_effect", verified_at={NOW})', (), Exit.BUG, "is not among"),
        ("raise SystemExit(0)", (), Exit.BUG, "Unknown whether the grant took effect."),
        ("return None", (), Exit.BUG, "it is None, and an AccessChange is expected"),
        ('return AccessChange(outcome="previewed")', ("--preview",), Exit.OK, ""),
        (
            f'return AccessChange(outcome="applied", verified_at={NOW}, scope="g", warnings=("w " + '
            f"self.config['token'],), added=({EDGE.format('request.entitlement_id')},))",
            (),
            Exit.OK,
            "",
        ),
    ],
)
def test_grant_command_rejects_an_impossible_answer(
    tmp_path: Path, body: str, arguments: tuple[str, ...], code: Exit, message: str
) -> None:
    install(tmp_path, GOOD.format(name="club") + GRANT.format(body=body))
    done, out, err = run(tmp_path, "grant", "ann", "board", *(arguments or ("--yes",)))
    assert (done, message in " ".join(err.split())) == (code, True), err
    assert ("Granted" in out) == (code is Exit.OK and not arguments)
    assert SECRET not in out + err


def test_short_secret_in_the_file_is_rejected(tmp_path: Path) -> None:
    install(tmp_path, GOOD.format(name="club"))
    config = tmp_path / "ploy.toml"
    config.write_text(config.read_text().replace(SECRET, "short-1"))
    code, out, err = run(tmp_path, "check")
    assert (code, "token must have 8 characters or more, as it is a secret." in err) == (Exit.CONFIGURATION, True)
    assert "short-1" not in out + err
