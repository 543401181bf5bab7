"""``ploy-connector run``: the service, until a signal stops it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.integration import read_operator_settings
from ploy_connector_aws.runtime.service.sources import refuse_shared_variables
from ploy_connector_aws.runtime.service.supervisor import LAST_RESORT_SECONDS, Service

from .exit_codes import Exit
from .output import console, print_json
from .stdout import stream
from .stopping import stop_on_signals

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
