"""``ploy-connector run`` (the service) and ``sandbox`` (the service beside a local AWS and a local Ploy)."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.integration import read_operator_settings
from ploy_connector_aws.runtime.service.sources import refuse_shared_variables
from ploy_connector_aws.runtime.service.supervisor import LAST_RESORT_SECONDS, Service
from ploy_connector_aws.runtime.settings import IntegrationSettings, read_settings
from ploy_connector_aws.sandbox.environment import clean_surroundings
from ploy_connector_aws.spec import ConfigurationError, choose_features

from .exit_codes import Exit
from .output import console, print_json, text
from .stdout import stream, write
from .stopping import stop_on_signals

if TYPE_CHECKING:
    from ploy_connector_aws.sandbox.sandbox import Sandbox


SILENCE_SECONDS = 3.0
_POLL_SECONDS = 5
_FIRST_SYNC_SECONDS = 60
_LOOK_EVERY_SECONDS = 0.5

_log = logging.getLogger(__name__)


def run(config: Sequence[Path], health_port: int, *, as_json: bool, debug: bool) -> Exit:
    """Run the service until a signal stops it."""
    stopped = threading.Event()
    stop_on_signals(stopped, LAST_RESORT_SECONDS)
    files: list[Path | None] = [*config] or [None]
    sources = [str(file or "the environment") for file in files]
    if len(files) > 1:
        refuse_shared_variables(os.environ)
    configurations = [read_operator_settings(file, None, debug=debug) for file in files]
    logs.configure(debug=debug, level=logging.INFO)
    with Service(configurations, health_port=health_port) as service:
        url = service.endpoint.url
        _log.info("started; health and metrics at %s", url, extra={"sources": sources})
        if as_json:
            print_json({"health": f"{url}/healthz", "metrics": f"{url}/metrics"})
        elif stream().isatty():
            console().print(f"Running; health and metrics at {url}. Ctrl-C stops it.", soft_wrap=True)
        while not stopped.wait(_LOOK_EVERY_SECONDS):
            if service.lock_error is not None:
                raise service.lock_error
        _log.info("stopping")
    return Exit.OK


def sandbox(folder: Path | None, *, as_json: bool, debug: bool) -> Exit:
    """Run a sandbox until Ctrl-C."""
    require_sandbox()
    stopped = threading.Event()
    stop_on_signals(stopped, LAST_RESORT_SECONDS)
    opened = nullcontext(str(folder)) if folder else tempfile.TemporaryDirectory(prefix="ploy-sandbox-")
    logs.configure(debug=debug)
    with ExitStack() as stack:
        path = Path(stack.enter_context(opened)).resolve()
        with shown_start(quiet=as_json):
            running = stack.enter_context(running_sandbox(path))
            stack.enter_context(_service(running, stopped))
        if as_json:
            print_json(
                {
                    "aws": running.aws.endpoint_url,
                    "ploy": running.ploy.url,
                    "page": running.ploy.login_url,
                    "operator_token": running.ploy.operator_token,
                    "config": str(running.config_file),
                    "environment": str(running.folder / "environment"),
                    "emptied": running.was_emptied,
                }
            )
        else:
            _print_addresses(console(), running)
        stopped.wait()
    return Exit.OK


@contextmanager
def shown_start(*, quiet: bool) -> Iterator[None]:
    """Print that the sandbox starts, and signs of life while the block runs."""
    if quiet:
        yield
        return
    console().print("Starting a local AWS and a local Ploy ...")
    with Heartbeat().running():
        yield


@contextmanager
def running_sandbox(folder: Path) -> Iterator[Sandbox]:
    """Run the local AWS with the demo's organisation, and the local Ploy, isolated from the caller's environment."""
    with clean_surroundings():
        from ploy_connector_aws.aws.features import FEATURES
        from ploy_connector_aws.aws.setup import render_policy
        from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
        from ploy_connector_aws.sandbox.sandbox import Sandbox

        features = choose_features(FEATURES, more=("account-names",))
        policy, settings = json.loads(render_policy(features)), {"read_account_names": True}
        with Sandbox(folder, demo_organisation(), policy, settings=settings) as sandbox:
            yield sandbox


@contextmanager
def _service(sandbox: Sandbox, stopped: threading.Event) -> Iterator[None]:
    """Run the service for all integrations of the local Ploy's customer, as ``ploy-connector run`` does.

    The block begins after the first sync, so that there is something to see, and no other command runs into it.
    """
    sandbox.ploy.registry.set_intervals(sandbox.integration.id, poll_interval_seconds=_POLL_SECONDS)
    os.environ.update(sandbox.environment)  # until the block of clean_surroundings ends
    settings = read_settings(sandbox.config_file, {}).model_copy(update={"integration": IntegrationSettings()})
    with Service([settings], health_port=0):
        ends_at = time.monotonic() + _FIRST_SYNC_SECONDS
        while not sandbox.ploy.view(sandbox.integration.id).generations() and time.monotonic() < ends_at:
            if stopped.wait(0.1):
                break
        try:
            yield
        finally:
            sandbox.ploy.waiters.stop()  # ends the long polls of the service


def _print_addresses(out: Console, sandbox: Sandbox) -> None:
    if sandbox.was_emptied:
        out.print(f"Removed the files of an earlier sandbox from {text(sandbox.folder)}.", soft_wrap=True)
    out.print("[bold]A local AWS and a local Ploy are running[/], with an organisation that does not exist.")
    out.print(f"  AWS   {sandbox.aws.endpoint_url}\n  Ploy  {sandbox.ploy.url}\n")
    out.print(f"Its integrations page, by a one-time login link:\n\n  {sandbox.ploy.login_url}\n", soft_wrap=True)
    out.print(f"Or log in with the operator token {text(sandbox.ploy.operator_token)}\n\nIn another terminal:\n")
    out.print(f"  . {text(sandbox.folder / 'environment')}", soft_wrap=True)
    for command in ("check", "sync", "access jonas.vik"):
        out.print(f"  {text(sys.argv[0])} {command}", soft_wrap=True)
    out.print("\nCtrl-C ends both.")


def require_sandbox() -> None:
    """Check that the sandbox is installed.

    Raises:
        ConfigurationError: It is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "jinja2", "moto", "uvicorn")):
        raise ConfigurationError("The sandbox is not installed.", fix="pip install 'ploy-connector-aws[sandbox]'")


class Heartbeat:
    """A thread that prints a line for each interval without a new step.

    Args:
        write: Writes one line, by default to standard output; called from a thread of its own.
        silence_seconds: The interval.
        monotonic: The clock.
    """

    def __init__(
        self,
        write: Callable[[str], object] | None = None,
        silence_seconds: float = SILENCE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write = write or _write_line
        self._silence_seconds = silence_seconds
        self._monotonic = monotonic
        self._noted = threading.Event()
        self._stopped = False

    def note_step(self) -> None:
        """Note that a step begins and has printed its name."""
        self._noted.set()

    @contextmanager
    def running(self) -> Iterator[Heartbeat]:
        """Watch while the block runs."""
        thread = threading.Thread(target=self._run, name="ploy-heartbeat", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopped = True
            self._noted.set()
            thread.join()

    def _run(self) -> None:
        since = self._monotonic()
        while not self._stopped:
            if self._noted.wait(self._silence_seconds):
                self._noted.clear()
                since = self._monotonic()
            else:
                self._write(f"  ... still running, {self._monotonic() - since:.0f} s")


def _write_line(line: str) -> None:
    with suppress(OSError):  # the command itself reports an output that cannot be written
        write(f"{line}\n")
