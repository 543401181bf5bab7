"""One byte every two seconds, for ever, from AWS or from Ploy: a signal still ends each command in time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.cli.stopping import INTERRUPTED_SECONDS
from ploy_connector_aws.runtime.service.supervisor import STOP_SECONDS
from tests.end_to_end.sync_harness import Site

from .conftest import clean_environment
from .forked import Forked
from .slow_gateway import Place, SlowGateway, slow_gateway

PATIENCE = 120

CALLS = {
    "sts AssumeRole": "Action=AssumeRole",
    "identitystore ListUsers": "AWSIdentityStore.ListUsers",
    "sso ListPermissionSets": "SWBExternalService.ListPermissionSets",
    "iam GetAccountAuthorizationDetails": "Action=GetAccountAuthorizationDetails",
    "Ploy integrations": "/connector/v1/integrations",
    "Ploy hello": "/hello",
    "Ploy lease": "/tasks/lease",
    "Ploy batch": "/batches/",
    "Ploy commit": "/commit",
}
"""By a name, a word of the call that never ends."""

PLACES: tuple[Place, ...] = ("headers", "body")
QUICK = {
    ("iam GetAccountAuthorizationDetails", "body"),
    ("Ploy lease", "headers"),
}


@contextmanager
def slow(site: Site, folder: Path, call: str, place: Place) -> Iterator[tuple[SlowGateway, Path, dict[str, str]]]:
    """A site of which one call never ends: the gateway, a configuration and an environment that lead to it."""
    with ExitStack() as stack:
        behind = site.world.ploy.url if call.startswith("/") else site.world.aws.endpoint_url
        gateway = stack.enter_context(slow_gateway(behind, call, place))
        file = folder / "slow.toml"
        text = site.world.config_file.read_text()
        file.write_text(text.replace(site.world.ploy.url, gateway.url) if call.startswith("/") else text)
        file.chmod(0o600)
        more = [] if call.startswith("/") else [("AWS_ENDPOINT_URL", gateway.url)]
        yield gateway, file, clean_environment(site, more)


def ended(
    gateway: SlowGateway, environment: dict[str, str], arguments: list[str], number: signal.Signals, within: float
) -> int:
    """Start a command, send it a signal while the slow call is under way, and see it end in time: its exit code.

    On a busy machine every process is late: how much is seen on one that sleeps for as long, less a second.
    """
    with Forked(arguments, environment) as process:
        if not gateway.reached.wait(PATIENCE):
            process.kill()
            raise AssertionError(process.communicate())
        command = [sys.executable, "-c", f"import time; time.sleep({within - 1})"]
        with subprocess.Popen(command) as control, ThreadPoolExecutor(1) as watcher:
            began = time.monotonic()
            control_took = watcher.submit(_seconds_until_end, control)
            process.send_signal(number)
            try:
                printed = process.communicate(timeout=PATIENCE)
            finally:
                process.kill()
            took = time.monotonic() - began
            if took <= within:
                control.kill()
            late = max(0.0, control_took.result() - (within - 1))
    assert took <= within + late, printed
    return process.wait()


def _seconds_until_end(process: subprocess.Popen[bytes]) -> float:
    began = time.monotonic()
    process.wait()
    return time.monotonic() - began


def cases() -> list[object]:
    """Each call, slow in each place; most of them in the long suite."""
    return [
        pytest.param(call, place, id=f"{name} {place}", marks=[] if (name, place) in QUICK else [pytest.mark.soak])
        for name, call in CALLS.items()
        for place in PLACES
    ]


@pytest.mark.parametrize(("call", "place"), cases())
def test_sigterm_ends_the_service_in_time(site: Site, tmp_path: Path, call: str, place: Place) -> None:
    if call == "/tasks/lease":
        site.world.ploy.registry.set_intervals(site.integration_id, poll_interval_seconds=5)
    with slow(site, tmp_path, call, place) as (gateway, file, environment):
        arguments = ["run", "--config", str(file), "--health-port", "0", "--json"]
        assert ended(gateway, environment, arguments, signal.SIGTERM, STOP_SECONDS + 1) == Exit.OK
    assert site.sync().code == Exit.OK
    assert site.at_ploy() == site.in_aws()


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        pytest.param(["check"], "Action=AssumeRole", marks=pytest.mark.soak),
        (["check"], "AWSIdentityStore.ListUsers"),
        pytest.param(["sync"], "AWSIdentityStore.ListGroupMemberships", marks=pytest.mark.soak),
        (["sync"], "/commit"),
        (["grant"], "Action=AssumeRole"),
        pytest.param(["access", "ana"], "AWSIdentityStore.ListUsers", marks=pytest.mark.soak),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else each,
)
def test_ctrl_c_ends_a_command_soon(site: Site, tmp_path: Path, arguments: list[str], call: str) -> None:
    if arguments == ["grant"]:
        arguments = ["grant", site.seeded.users["ana"], site.seeded.groups["empty"], "--yes"]
    with slow(site, tmp_path, call, "body") as (gateway, file, environment):
        arguments = [*arguments, "--config", str(file)]
        assert ended(gateway, environment, arguments, signal.SIGINT, INTERRUPTED_SECONDS + 1) == Exit.INTERRUPTED
    assert site.sync().code == Exit.OK
    assert site.at_ploy() == site.in_aws()
