"""An unusable state folder and a file to rebuild: one message, one exit status, nothing lost."""

from __future__ import annotations

import ctypes
import json
import resource
import subprocess
from functools import partial

from ploy_connector_aws.cli.exit_codes import Exit
from tests.deadlines import PATIENCE_SECONDS
from tests.end_to_end.sync_harness import Site

from .conftest import COMMAND, clean_environment, run
from .forked import Forked


def sync_without_rights(site: Site) -> subprocess.CompletedProcess[str]:
    """Run a sync in a process that obeys the permissions of files; it does so only if it starts by itself."""
    return subprocess.run(
        [COMMAND, "sync", "--config", str(site.world.config_file)],
        capture_output=True,
        text=True,
        check=False,
        env=clean_environment(site),
        preexec_fn=obey_permissions,
        timeout=PATIENCE_SECONDS,
    )


def obey_permissions() -> None:
    """Let root be bound by the permissions of files as everybody is: without CAP_DAC_OVERRIDE."""
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP


def test_full_disk_is_one_message_and_loses_nothing(site: Site) -> None:
    site.sync()
    before = site.records_at_ploy()
    site.seeded.delete_user("bo")
    most = site.settings.snapshot_path.stat().st_size + 8192
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (most, most))
    with Forked(["sync", "--config", str(site.world.config_file)], clean_environment(site), prepare=limit) as full:
        _, err = full.communicate()
    assert full.returncode == Exit.STATE, err
    assert err.startswith("Error: The snapshot file ")
    assert err.count("\n") == 2, "a sentence and its fix"
    assert site.records_at_ploy() == before
    assert site.sync().code == Exit.OK
    assert site.at_ploy() == site.in_aws()


def test_read_only_folder_is_one_message_and_loses_nothing(site: Site) -> None:
    site.sync()
    before = site.records_at_ploy()
    folder = site.settings.state.dir
    for path in (*folder.iterdir(), folder):
        path.chmod(0o500 if path == folder else 0o400)
    refused = sync_without_rights(site)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o700 if path == folder else 0o600)
    assert refused.returncode == Exit.STATE, refused.stderr
    assert refused.stderr.startswith("Error: The ")
    assert refused.stderr.count("\n") == 2, "a sentence and its fix"
    assert site.records_at_ploy() == before
    assert site.sync().code == Exit.OK


def test_damaged_file_is_rejected_by_every_command_and_rebuilt_on_request(site: Site) -> None:
    site.sync()
    path = site.settings.snapshot_path
    for other in path.parent.glob(f"{path.name}-*"):
        other.unlink()
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 40960)
    for command in (["sync"], ["list", "accounts"], ["access", "ana"], ["history"], ["sync", "--preview"]):
        code, _, err = run(site, *command)
        assert (code, "--rebuild" in err, "Traceback" in err) == (Exit.STATE, True, False), (command, err)
    code, out, err = run(site, "sync", "--rebuild", "--json")
    assert (code, err) == (Exit.OK, "")
    assert (json.loads(out)["mode"], json.loads(out)["changed"]) == ("full", {})
    assert site.sync().printed["mode"] == "delta"
    assert site.at_ploy() == site.in_aws()
