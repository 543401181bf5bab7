"""``ploy-connector run`` as a process: started, watched over HTTP, and stopped by a signal."""

from __future__ import annotations

import json
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from tests.deadlines import PATIENCE_SECONDS
from tests.end_to_end.sync_harness import Site, SiteMaker

from .conftest import clean_environment, read_document
from .forked import Forked

PATIENCE = PATIENCE_SECONDS


class Service:
    """A running service: what it logs, and what it shows."""

    def __init__(self, process: Forked) -> None:
        self.process = process
        self.lines: list[dict[str, Any]] = []
        self.output = printed = read_document(process)
        assert printed, self._rest()
        self.places: dict[str, str] = json.loads(printed)

    def see(self, is_it: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Read the log until a line that is it."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.output += line
            self.lines.append(json.loads(line))
            if is_it(self.lines[-1]):
                return self.lines[-1]
        raise AssertionError(f"it ended without saying so: {self.output}")

    def see_scan(self, integration: str) -> dict[str, Any]:
        return self.see(lambda line: line["event"].startswith("scanned") and line["integration"] == integration)

    def get(self, what: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.places[what], timeout=PATIENCE) as answer:
                status, body = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, body = error.code, error.read().decode()
        self.output += body
        return status, body

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        self._rest()
        return self.process.wait()

    def _rest(self) -> str:
        out, err = self.process.communicate(timeout=PATIENCE)
        self.output += out + err
        self.lines += [json.loads(line) for line in err.splitlines()]
        return self.output


@contextmanager
def running(site: Site, *files: Path, options: Sequence[str] = ()) -> Iterator[Service]:
    configured = [argument for file in files or [site.world.config_file] for argument in ("--config", str(file))]
    arguments = ["run", *configured, "--health-port", "0", "--json", *options]
    with Forked(arguments, clean_environment(site)) as process:
        last_resort = threading.Timer(PATIENCE, process.kill)
        last_resort.start()
        try:
            yield Service(process)
        finally:
            last_resort.cancel()
            if process.poll() is None:
                process.kill()


def secrets_of(site: Site) -> set[str]:
    environment = site.world.environment
    integration = site.world.integration
    token = (site.world.folder / "token").read_text().strip()
    return {token, str(integration.settings["external_id"]), environment["AWS_SECRET_ACCESS_KEY"]}


def test_service_scans_polls_obeys_flags_and_stops(site: Site) -> None:
    """One life of a service: every change on the integrations page is seen at the next poll, and no secret is shown."""
    ploy, integration = site.world.ploy, site.integration_id
    ploy.registry.set_intervals(integration, poll_interval_seconds=5)
    with running(site, options=["--debug"]) as service:
        scanned = service.see_scan(integration)
        assert (scanned["connector"], scanned["level"], scanned["generation"]) == ("aws", "info", 1)
        assert site.at_ploy() == site.in_aws()
        assert {line["run_id"] for line in service.lines if line["event"] == "reading"} == {scanned["run_id"]}

        ploy.registry.enable(integration, False)
        service.see(lambda line: line["event"] == "integration removed")
        ploy.registry.change_settings(integration, {"scopes": ["identity-center/users"]})
        ploy.registry.enable(integration, True)
        assert service.see_scan(integration)["event"] == "scanned: held_for_review"
        ploy.registry.change_settings(integration, {"scopes": None})
        service.see(lambda line: "settings changed" in line["event"])
        assert service.see_scan(integration)["event"] == "scanned: committed"

        status, body = service.get("health")
        assert (status, json.loads(body)["integrations"]) == (
            200,
            {integration: {"connector": "aws", "paused": False, "blockers": [], "reasons": [], "since": {}}},
        )
        metrics = service.get("metrics")[1]
        for sample in (
            f'ploy_syncs_total{{connector="aws",ending="committed",integration="{integration}"}}',
            f'ploy_remote_calls_total{{connector="aws",integration="{integration}",operation="ListUsers",service=',
            f'ploy_platform_calls_total{{call="commit",connector="aws",integration="{integration}",status="200"}}',
            f'ploy_last_success_timestamp_seconds{{connector="aws",integration="{integration}"}}',
        ):
            assert sample in metrics
        assert service.stop(signal.SIGINT) == Exit.OK
    assert not {secret for secret in secrets_of(site) if secret in service.output}


def test_scan_interrupted_by_sigterm_is_resumed_at_the_next_start(sites: SiteMaker) -> None:
    with sites(demo_organisation()) as site:
        members = "ListGroupMemberships"
        site.world.aws.faults.delay(0.05, members)
        reached = threading.Event()
        site.world.aws.faults.before(members, reached.set, nth=13)
        with running(site) as service:
            assert reached.wait(PATIENCE)
            assert service.stop() == Exit.OK
        assert "interrupted; the next scan resumes" in {line["event"] for line in service.lines}
        assert list(site.world.ploy.view(site.integration_id).records()) == []
        first = {call.parameters["GroupId"] for call in site.world.aws.calls.to(members)}
        site.world.aws.faults.reset()
        site.world.aws.calls.clear()
        with running(site) as service:
            service.see(lambda line: line["event"].startswith("resuming; "))
            service.see_scan(site.integration_id)
            assert service.stop() == Exit.OK
        again = {call.parameters["GroupId"] for call in site.world.aws.calls.to(members)}
        assert (len(again) < 14, len(first | again) >= 14) == (True, True)
        assert site.at_ploy() == site.in_aws()


def test_broken_organisation_does_not_affect_the_other(site: Site, tmp_path: Path) -> None:
    ploy = site.world.ploy
    other = ploy.registry.create_organisation("Other & Sons")
    broken = ploy.registry.create_integration(other, "aws", {**settings_of(site), "role_arn": other_role(site)})
    token = tmp_path / "token"
    token.write_text(ploy.registry.create_token(other).token)
    file = tmp_path / "other.toml"
    file.write_text(
        f'[platform]\nurl = "{ploy.url}"\ntoken_file = {json.dumps(str(token))}\n'
        f"[state]\ndir = {json.dumps(str(tmp_path / 'state'))}\n"
    )
    nowhere = tmp_path / "nowhere.toml"
    nowhere.write_text('[platform]\nurl = "http://127.0.0.1:9"\ntoken_file = "/no/such/token"\n')
    with running(site, site.world.config_file, file, nowhere) as service:
        service.see_scan(site.integration_id)
        failed = [line for line in service.lines if line.get("code") == "authentication"]
        if not failed:
            failed = [service.see(lambda line: line.get("code") == "authentication")]
        assert {line["integration"] for line in failed} == {broken.id}
        status, body = service.get("health")
        report = json.loads(body)
        assert (status, report["sources"]["source-3"]["reasons"]) == (503, ["configuration"])
        assert report["integrations"][site.integration_id]["reasons"] == []
        assert f'ending="failed",integration="{broken.id}"' in service.get("metrics")[1]
        assert service.stop() == Exit.OK
    assert site.at_ploy() == site.in_aws()


def settings_of(site: Site) -> dict[str, Any]:
    return {name: value for name, value in site.world.integration.settings.items() if name != "external_id"}


def other_role(site: Site) -> str:
    return f"arn:aws:iam::{site.world.integration.settings['account_id']}:role/of-another"


@pytest.mark.parametrize(
    ("variables", "files", "ending", "sentence"),
    [
        ({}, 2, Exit.CONFIGURATION, "The configurations 1 and 2 name the same integration."),
        ({"PLOY_TOKEN": "t"}, 2, Exit.CONFIGURATION, "The variable PLOY_TOKEN would override the setting"),
        ({"PLOY_URL": "http://ploy.example"}, 1, Exit.CONFIGURATION, "is not encrypted"),
    ],
)
def test_unusable_configuration_ends_the_service_with_a_message(
    site: Site, variables: dict[str, str], files: int, ending: Exit, sentence: str
) -> None:
    arguments = ["run", *(["--config", str(site.world.config_file)] * files), "--json", "--health-port", "0"]
    with Forked(arguments, clean_environment(site, list(variables.items()))) as process:
        out, _ = process.communicate()
    assert (process.wait(), sentence in json.loads(out)["error"]["message"]) == (ending, True), out
