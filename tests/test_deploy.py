"""The deployment documents and files match the options, metrics and behaviour of the program."""

from __future__ import annotations

import configparser
import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families

from ploy_connector_aws.cli.app import app
from ploy_connector_aws.cli.commands import HEALTH_PORT
from ploy_connector_aws.runtime.heartbeats import Heartbeats
from ploy_connector_aws.runtime.service.metrics import Metrics
from ploy_connector_aws.runtime.service.supervisor import STOP_SECONDS

DEPLOY = Path(__file__).parents[1] / "docs" / "deploy"
PAGE = (DEPLOY.parent / "how-to" / "run-as-a-service.md").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()


def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "ploy-connector.service")
    return parser["Service"]


def commands() -> list[list[str]]:
    entry, arguments = (
        json.loads(re.search(rf"^{instruction} (\[.*\])$", DOCKERFILE, re.M)[1])  # type: ignore[index]
        for instruction in ("ENTRYPOINT", "CMD")
    )
    return [shlex.split(unit()["ExecStart"]), [*entry, *arguments]]


@pytest.mark.parametrize("command", commands(), ids=["systemd", "docker"])
def test_the_command_is_one_that_the_program_takes(command: list[str]) -> None:
    program, name, *arguments = command
    group = typer.main.get_command(app)
    run = group.commands[name]  # type: ignore[attr-defined]
    assert program == "/opt/ploy-connector/bin/ploy-connector"
    context = run.make_context(name, list(arguments))
    assert context.params["config"] == [Path("/etc/ploy-connector/ploy.toml")]


def test_a_stop_is_awaited_for_longer_than_it_may_take() -> None:
    assert STOP_SECONDS + 1 <= 10, "as long as Docker waits"
    assert int(unit()["TimeoutStopSec"]) > STOP_SECONDS
    assert f"at most {STOP_SECONDS:g} seconds" in PAGE


def test_the_health_of_a_container_is_asked_where_it_is() -> None:
    assert f"http://127.0.0.1:{HEALTH_PORT}/healthz" in DOCKERFILE
    assert f"http://127.0.0.1:{HEALTH_PORT}/healthz" in PAGE


def test_every_metric_is_on_the_page_with_its_labels() -> None:
    metrics = Metrics()
    one = metrics.of("i", "c")
    one.sync_ended("committed")
    one.succeeded_at(datetime.now(UTC))
    one.shows_reading_of(datetime.now(UTC))
    one.keeps_unproven(0)
    one.task_ended("grant", "done")
    one.waits_in_outbox(0)
    one.platform_answered("hello", "200")
    one.remote_called("s3", "ListBuckets")
    one.remote_throttled("s3")
    one.left_out("leftover")
    marks = Heartbeats()
    marks.begin("poll", lambda: 10)
    one.ages_of(marks)
    shown = {
        sample.name: set(sample.labels) - {"integration", "connector"}
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }
    named = re.findall(r"`(ploy_\w+)(?:\{([\w,]+)\})?`", "".join(re.findall(r"^\| `ploy_.*$", PAGE, re.M)))
    assert {name: set(filter(None, labels.split(","))) for name, labels in named} == shown
