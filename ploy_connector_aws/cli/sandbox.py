"""``ploy-connector sandbox``: a local AWS and a local Ploy to try things on, until interrupted."""

from __future__ import annotations

import importlib.util
import signal
import sys
import tempfile
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from ploy_connector_aws.spec import ConfigurationError

from .endings import Exit
from .options import AsJson, Debug
from .output import console, print_json, text


def sandbox(
    folder: Annotated[
        Path | None,
        typer.Option("--dir", metavar="DIR", help="Where to keep its files; a temporary folder if left out."),
    ] = None,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - every command takes it
) -> Exit:
    """Start a local AWS and a local Ploy with a believable organisation, on loopback only, until Ctrl-C."""
    require_sandbox()
    from ploy_connector_aws.aws.permissions import render_policy
    from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
    from ploy_connector_aws.sandbox.world import LocalWorld

    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    made = nullcontext(str(folder)) if folder else tempfile.TemporaryDirectory(prefix="ploy-sandbox-")
    with made as place, LocalWorld(Path(place).resolve(), demo_organisation(), render_policy()) as world:
        if json:
            print_json(
                {
                    "aws": world.aws.endpoint_url,
                    "ploy": world.ploy.url,
                    "config": str(world.config_file),
                    "environment": str(world.folder / "environment"),
                }
            )
        else:
            out = console()
            out.print("[bold]A local AWS and a local Ploy are running[/], with an organisation that does not exist.")
            out.print(f"  AWS   {world.aws.endpoint_url}\n  Ploy  {world.ploy.url}\n\nIn another terminal:\n")
            out.print(f"  . {text(world.folder / 'environment')}", soft_wrap=True)
            for command in ("check", "sync", "access jonas.vik"):
                out.print(f"  {text(sys.argv[0])} {command} --config {text(world.config_file)}", soft_wrap=True)
            out.print("\nCtrl-C ends both.")
        stopped.wait()
    return Exit.OK


def require_sandbox() -> None:
    """Say how to install the sandbox where it is not.

    Raises:
        ConfigurationError: It is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("fastapi", "moto", "uvicorn")):
        raise ConfigurationError("The sandbox is not installed.", fix="pip install 'ploy-connector-aws[sandbox]'")
