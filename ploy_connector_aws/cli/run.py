"""``ploy-connector run``: the service, until it is told to stop."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Annotated

import typer

from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.service.sources import refuse_shared_variables
from ploy_connector_aws.runtime.service.supervisor import LAST_RESORT_SECONDS, Service
from ploy_connector_aws.runtime.settings import CONFIG_FILE_VARIABLE

from . import standard_output
from .exit_codes import Exit
from .opening import read_operator_settings
from .options import AsJson, Debug
from .output import console, print_json
from .stopping import stop_on_signals

HEALTH_PORT = 9464
_LOOKS_EVERY_SECONDS = 0.5

_log = logging.getLogger(__name__)


def run(
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="A TOML file with the settings; give it again for another organisation. A file with an integration's "
            "id or a config table is that integration; a file with neither is all that Ploy has enabled for its "
            "token.",
            envvar=CONFIG_FILE_VARIABLE,
        ),
    ] = None,
    health_port: Annotated[
        int,
        typer.Option(
            "--health-port",
            metavar="PORT",
            min=0,
            max=65535,
            help="Where /healthz and /metrics are, on this machine's loopback; 0 takes any port that is free.",
        ),
    ] = HEALTH_PORT,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Scan and poll for one or many integrations, until SIGTERM or Ctrl-C. What is under way then goes on later.

    Ends at once where another process serves all of them already.
    """
    stopped = threading.Event()
    stop_on_signals(stopped, LAST_RESORT_SECONDS)
    files: list[Path | None] = [*config] if config else [None]
    sources = [str(file or "the environment") for file in files]
    if len(files) > 1:
        refuse_shared_variables(os.environ)
    configurations = [read_operator_settings(file, None, debug=debug) for file in files]
    logs.configure(debug=debug, level=logging.INFO)
    with Service(configurations, health_port=health_port) as service:
        url = service.endpoint.url
        _log.info("runs; health and metrics are at %s", url, extra={"sources": sources})
        if json:
            print_json({"health": f"{url}/healthz", "metrics": f"{url}/metrics"})
        elif standard_output.stream().isatty():
            console().print(f"Running, with health and metrics at {url}. Ctrl-C ends it.", soft_wrap=True)
        while not stopped.wait(_LOOKS_EVERY_SECONDS):
            if service.lock_error is not None:
                raise service.lock_error
        _log.info("stops")
    return Exit.OK
