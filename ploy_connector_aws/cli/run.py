"""``ploy-connector run``: the service, until a signal stops it."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Annotated

import typer

from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.integration import read_operator_settings
from ploy_connector_aws.runtime.service.sources import refuse_shared_variables
from ploy_connector_aws.runtime.service.supervisor import LAST_RESORT_SECONDS, Service
from ploy_connector_aws.runtime.settings import CONFIG_FILE_VARIABLE

from .exit_codes import Exit
from .options import AsJson, Debug
from .output import console, print_json, stream
from .stopping import stop_on_signals

HEALTH_PORT = 9464
_LOOK_EVERY_SECONDS = 0.5

_log = logging.getLogger(__name__)


def run(
    config: Annotated[
        list[Path] | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="A TOML file with the settings; repeat it for other organisations. A file with an integration's id or "
            "a config table stands for that integration; a file with neither, for all that Ploy enabled for its token.",
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
            help="The port of /healthz and /metrics on loopback; 0 takes any free port.",
        ),
    ] = HEALTH_PORT,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Scan and poll for one or many integrations until SIGTERM or Ctrl-C; the next start resumes unfinished work.

    Ends at once if another process runs all of them already.
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
        _log.info("started; health and metrics at %s", url, extra={"sources": sources})
        if json:
            print_json({"health": f"{url}/healthz", "metrics": f"{url}/metrics"})
        elif stream().isatty():
            console().print(f"Running; health and metrics at {url}. Ctrl-C stops it.", soft_wrap=True)
        while not stopped.wait(_LOOK_EVERY_SECONDS):
            if service.lock_error is not None:
                raise service.lock_error
        _log.info("stopping")
    return Exit.OK
