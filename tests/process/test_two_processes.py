"""Two processes for one integration: the second one ends and names the first."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.runtime.snapshot.store import Store
from tests.end_to_end.sync_harness import Site

from .conftest import clean_environment, read_environment, run, run_forked, running_sandbox, start
from .forked import Forked
from .test_beside_service import PATIENCE, RunningService, running_service


@pytest.fixture
def service(site: Site, tmp_path: Path) -> Iterator[RunningService]:
    site.world.ploy.registry.set_intervals(site.integration_id, poll_interval_seconds=5)
    with running_service(site, tmp_path / "log") as running:
        running.wait_for_scans(1)
        yield running


def test_second_service_ends_and_names_the_first(site: Site, service: RunningService) -> None:
    for options in ([], ["--json"]):
        code, out, err = run_forked(site, "run", "--health-port", "0", *options)
        named = f"handling this integration's tasks: the service `ploy-connector run` (process {service.process.pid})."
        assert (code, named in (out if options else err)) == (Exit.TRY_AGAIN, True), (out, err)
        assert "Internal error" not in err
        assert "Something failed that should not" not in err
    site.world.ploy.registry.set_intervals(site.integration_id, scan_interval_seconds=5)
    service.wait_for_scans(1)
    assert not [event for event in service.events() if event["level"] in ("warning", "error")]


def test_service_beside_a_sandbox_names_the_sandbox(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with running_sandbox(tmp_path / "try-it", environment) as places:
        arguments = ["run", "--config", str(places["config"]), "--health-port", "0"]
        with Forked(arguments, read_environment(places["environment"])) as second:
            _, err = second.communicate()
        named = f"the service of `ploy-connector sandbox` (process {places['process']})."
        assert (second.returncode, named in err) == (Exit.TRY_AGAIN, True), err
        with Forked(["sandbox", "--dir", str(tmp_path / "try-it")], environment) as third:
            _, err = third.communicate()
        assert third.returncode == Exit.CONFIGURATION, err
        assert f"Another sandbox is running in {tmp_path / 'try-it'}: process {places['process']} on" in err


def test_file_of_a_running_service_is_not_set_aside(site: Site, service: RunningService) -> None:
    before = site.settings.snapshot_path.stat().st_ino
    code, _, err = run_forked(site, "sync", "--rebuild")
    assert (code, f"(process {service.process.pid})" in err) == (Exit.TRY_AGAIN, True), err
    assert site.settings.snapshot_path.stat().st_ino == before


@pytest.mark.parametrize("command", [["sync"], ["sync", "--rebuild"]])
def test_sync_beside_a_sync_names_it(site: Site, command: list[str]) -> None:
    results: list[tuple[int, str, str]] = []
    site.world.aws.faults.before("ListUsers", lambda: results.append(run_forked(site, *command)))
    with start(site, "sync") as first:
        first.communicate(timeout=PATIENCE)
    ((code, _, err),) = results
    named = f"Another process is already syncing this integration: `ploy-connector sync` (process {first.pid})."
    assert (first.returncode, code, named in err) == (Exit.OK, Exit.TRY_AGAIN, True), err


def test_file_open_in_a_command_is_not_set_aside(site: Site) -> None:
    """A list or a grant holds no lock of the integration: SQLite itself knows who has the file open."""
    site.sync()
    held = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(site.settings.snapshot_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with held:
        assert held.stdout is not None
        assert held.stdout.readline() == "open\n"
        code, _, err = run_forked(site, "sync", "--rebuild")
        assert (code, "another process is using it" in err) == (Exit.STATE, True), err
        assert run_forked(site, "list", "grants")[0] == Exit.OK, "other commands may use it too"
        held.communicate("")
    assert run_forked(site, "sync", "--rebuild")[0] == Exit.OK


HOLDER = """
import sys
from pathlib import Path
from ploy_connector_aws.runtime.snapshot.store import Store
with Store(Path(sys.argv[1])):
    print("open", flush=True)
    sys.stdin.read()
"""

# Files that are not this integration's.

MANY = """
import json, sys
from pathlib import Path
commands, state = json.loads(sys.argv[1]), sys.argv[2]
def watch(event, arguments):
    if event == "open" and str(arguments[0]).startswith(state) and not arguments[2] & 0o200:  # O_EXCL
        opened.append([str(arguments[0]), commands[len(ended)]])
opened, ended = [], []
sys.addaudithook(watch)
from ploy_connector_aws.cli import main
for command in commands:
    sys.argv = ["ploy-connector", *command]
    try:
        main()
    except SystemExit as end:
        ended.append(end.code)
print(json.dumps({"ended": ended, "opened": opened}), file=sys.stderr)
"""
"""Runs several commands in one process, and notes what is opened in the state folder by other means than SQLite."""

COMMANDS: list[list[str]] = [
    ["sync"],
    ["sync", "--preview"],
    ["list", "grants"],
    ["access", "ana"],
    ["grant", "ana", "admins", "--preview"],
    ["revoke", "ana", "admins", "--preview"],
    ["history"],
]


def run_many(site: Site, commands: Sequence[Sequence[str]]) -> tuple[list[int], list[list[str]], str]:
    configured = [[*command, "--config", str(site.world.config_file)] for command in commands]
    done = subprocess.run(
        [sys.executable, "-c", MANY, json.dumps(configured), str(site.settings.state.dir)],
        env=clean_environment(site),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE * 2,
    )
    printed, _, result = done.stderr.rstrip("\n").rpartition("\n")
    found = json.loads(result)
    return found["ended"], found["opened"], done.stdout + printed


def test_state_files_are_opened_through_sqlite_only(site: Site) -> None:
    commands = [*COMMANDS, ["sync", "--rebuild"], *COMMANDS]
    ended, opened, printed = run_many(site, commands)
    assert (ended, opened) == ([Exit.OK] * len(commands), []), printed


def as_link(site: Site, path: Path) -> str:
    target = path.rename(site.world.folder / "elsewhere")
    target.chmod(0o644)
    path.symlink_to(target)
    return "it is a symbolic link"


def as_file_of_another(site: Site, path: Path) -> str:
    other = "int-of-another-organisation"
    path.unlink()
    kept = site.settings.state.dir / f"{other}.sqlite"
    with Store(kept):
        pass
    shutil.copy(kept, path)
    return f"it belongs to the integration {other!r}, not to {site.integration_id!r}"


@pytest.mark.parametrize("replace", [as_link, as_file_of_another])
def test_every_command_rejects_a_foreign_snapshot_file(site: Site, replace: Callable[[Site, Path], str]) -> None:
    site.sync()
    reason = replace(site, site.settings.snapshot_path)
    before = site.settings.snapshot_path.stat()
    results = [run(site, *command) for command in COMMANDS]
    printed = "".join(out + err for _, out, err in results)
    assert [code for code, _, _ in results] == [Exit.STATE] * len(COMMANDS), printed
    assert printed.count(reason) == len(COMMANDS), printed
    after = site.settings.snapshot_path.stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
