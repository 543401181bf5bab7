"""``ploy-connector sandbox``: a local AWS and a local Ploy to try things on, until interrupted."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.service.supervisor import LAST_RESORT_SECONDS, Service
from ploy_connector_aws.runtime.settings import IntegrationSettings, read_settings
from ploy_connector_aws.sandbox.environment import clean_surroundings
from ploy_connector_aws.spec import ConfigurationError

from .exit_codes import Exit
from .heartbeat import Heartbeat
from .options import AsJson, Debug
from .output import console, print_json, text
from .stopping import stop_on_signals

if TYPE_CHECKING:
    from ploy_connector_aws.sandbox.sandbox import Sandbox


_POLL_SECONDS = 5
_FIRST_SYNC_SECONDS = 60


def sandbox(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Where to keep its files, made anew at each start; a temporary folder if left out.",
        ),
    ] = None,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Start a local AWS and a local Ploy with a believable organisation, and the service, until Ctrl-C."""
    require_sandbox()
    stopped = threading.Event()
    stop_on_signals(stopped, LAST_RESORT_SECONDS)
    made = nullcontext(str(folder)) if folder else tempfile.TemporaryDirectory(prefix="ploy-sandbox-")
    logs.configure(debug=debug)
    with ExitStack() as stack:
        place = Path(stack.enter_context(made)).resolve()
        with shown_start(quiet=json):
            world = stack.enter_context(local_world(place))
            stack.enter_context(_service(world, stopped))
        if json:
            print_json(
                {
                    "aws": world.aws.endpoint_url,
                    "ploy": world.ploy.url,
                    "page": world.ploy.login_url,
                    "operator_token": world.ploy.operator_token,
                    "config": str(world.config_file),
                    "environment": str(world.folder / "environment"),
                    "emptied": world.was_emptied,
                }
            )
        else:
            _print_places(console(), world)
        stopped.wait()
    return Exit.OK


@contextmanager
def shown_start(*, quiet: bool) -> Iterator[None]:
    """Show that the sandbox starts, while the block runs."""
    if quiet:
        yield
        return
    console().print("Starting a local AWS and a local Ploy ...")
    with Heartbeat().running():
        yield


@contextmanager
def local_world(folder: Path) -> Iterator[Sandbox]:
    """Run the local AWS with the demo's organisation, and the local Ploy, apart from the caller's environment."""
    with clean_surroundings():
        from ploy_connector_aws.aws.permissions import render_policy
        from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
        from ploy_connector_aws.sandbox.sandbox import Sandbox

        with Sandbox(folder, demo_organisation(), render_policy()) as world:
            yield world


@contextmanager
def _service(world: Sandbox, stopped: threading.Event) -> Iterator[None]:
    """Serve all that the local Ploy has enabled for its customer, as ``ploy-connector run`` would.

    It begins with the first sync done, so that there is something to look at, and no other command meets it.
    """
    world.ploy.set_intervals(world.integration.id, poll_interval_seconds=_POLL_SECONDS)
    os.environ.update(world.environment)  # until the surroundings are put back
    settings = read_settings(world.config_file, {}).model_copy(update={"integration": IntegrationSettings()})
    with Service([settings], health_port=0):
        ends_at = time.monotonic() + _FIRST_SYNC_SECONDS
        while not world.ploy.generations(world.integration.id) and time.monotonic() < ends_at:
            if stopped.wait(0.1):
                break
        try:
            yield
        finally:
            world.ploy.bells.stop()  # the service's polls are answered at once, so that it can end


def _print_places(out: Console, world: Sandbox) -> None:
    if world.was_emptied:
        out.print(f"What an earlier sandbox left in {text(world.folder)} was removed.", soft_wrap=True)
    out.print("[bold]A local AWS and a local Ploy are running[/], with an organisation that does not exist.")
    out.print(
        f"  AWS   {world.aws.endpoint_url}\n  Ploy  {world.ploy.url}\n\nIts integrations page, by a link for once:\n"
    )
    out.print(f"  {world.ploy.login_url}\n", soft_wrap=True)
    out.print(f"or with the operator token {text(world.ploy.operator_token)}\n\nIn another terminal:\n")
    out.print(f"  . {text(world.folder / 'environment')}", soft_wrap=True)
    for command in ("check", "sync", "access jonas.vik"):
        out.print(f"  {text(sys.argv[0])} {command} --config {text(world.config_file)}", soft_wrap=True)
    out.print("\nCtrl-C ends both.")


def require_sandbox() -> None:
    """Say how to install the sandbox where it is not.

    Raises:
        ConfigurationError: It is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "jinja2", "moto", "uvicorn")):
        raise ConfigurationError("The sandbox is not installed.", fix="pip install 'ploy-connector-aws[sandbox]'")
