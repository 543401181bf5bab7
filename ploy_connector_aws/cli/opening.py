"""From the command line to the operator's configuration, and to a snapshot to look at."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.integration import open_connector, require_connector
from ploy_connector_aws.runtime.settings import OperatorSettings, has_variables, read_settings
from ploy_connector_aws.runtime.snapshot.compare import compare
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import is_there, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay, VerifiedChange, read_verified
from ploy_connector_aws.runtime.sync.ingest import read
from ploy_connector_aws.spec import ConfigurationError

from .options import DEFAULT_FILE
from .output import shown_progress


def read_operator_settings(config: Path | None, connector: str | None, *, debug: bool) -> OperatorSettings:
    """Read the configuration, with the connector's name from the command line, and set up logging.

    Raises:
        ConfigurationError: Something is wrong with it, or the connector is not installed.
    """
    logs.configure(debug=debug, for_people=True)
    if config is None and not has_variables(os.environ):
        raise ConfigurationError(
            "No configuration was given, neither by --config FILE nor by a variable.", fix=_find_fix()
        )
    settings = read_settings(config)
    if connector is not None:
        settings = settings.with_connector(connector, "--connector")
    require_connector(settings)
    return settings


def _find_fix() -> str:
    """Name the configuration file that a set-up writes, if there is one in this folder; otherwise how to get one."""
    if DEFAULT_FILE.is_file():
        return f"add --config {DEFAULT_FILE} to the command"
    return f"ploy-connector setup writes {DEFAULT_FILE}; then add --config {DEFAULT_FILE} to the command"


@dataclass(frozen=True)
class Picture:
    """A finished run to look at."""

    store: Store
    run: Run
    is_fresh: bool
    """Whether it was read just now; otherwise it is the last committed sync."""
    changes: tuple[VerifiedChange, ...] = ()
    """What was granted and revoked here, and no committed sync has seen."""

    @cached_property
    def now(self) -> Overlay:
        """The run, with what was changed since."""
        return Overlay(self.run, self.changes)

    @property
    def is_complete(self) -> bool:
        """Whether it shows everything, as far as it was proven: nothing is unproven, here or only at Ploy."""
        is_proven = not any(scope.unproven_since for scope in self.run.scopes()) and not any(self.run.kept_by_grants())
        return self.is_all_there and is_proven

    @property
    def is_all_there(self) -> bool:
        """Whether Ploy is not known to hold more: it may, after a sync that had no earlier one to compare with."""
        return self.is_fresh or self.run.matches_platform


@contextmanager
def open_picture(settings: OperatorSettings, *, fresh: bool, quiet: bool) -> Iterator[Picture]:
    """Open the last committed sync; where there is none, or a fresh one is wanted, read now into a temporary file.

    Raises:
        ConnectorError: Nothing could be read.
        StateError: The snapshot file cannot be used.
    """
    if not fresh and is_there(settings.snapshot_path):
        with translate_errors(settings.snapshot_path), Store(settings.snapshot_path) as store:
            # One transaction, so that a sync that ends meanwhile does not take the tables away.
            with store.reading():
                baseline = store.baseline
                if baseline is not None:
                    yield Picture(store, baseline, is_fresh=False, changes=read_verified(settings.tasks_path))
                    return
    opened = open_connector(settings)
    with tempfile.TemporaryDirectory(prefix="ploy-connector-") as folder, Store(Path(folder) / "now.sqlite") as store:
        run = store.begin(uuid.uuid4().hex, datetime.now(UTC))
        with shown_progress(quiet=quiet) as on_progress:
            read(opened.connector, store, run, on_progress=on_progress)
        compare(store, run)
        yield Picture(store, run, is_fresh=True)
