"""``ploy-connector validate --trace``: one read of a connector, as the tree of its scopes."""

from __future__ import annotations

from pathlib import Path

import typer

from ploy_connector_aws.runtime.integration import open_connector, read_operator_settings

from .exit_codes import Exit
from .options import ReportFormat
from .output import console, print_json, shown_progress
from .trace import print_trace, trace


def show_trace(name: str, config: Path | None, *, chosen: ReportFormat, debug: bool) -> Exit:
    """Read all lists once, and print the tree of scopes."""
    if chosen is ReportFormat.JUNIT:
        raise typer.BadParameter("cannot be used with --trace", param_hint="--format junit")
    settings = read_operator_settings(config, name, debug=debug)
    is_quiet = chosen is not ReportFormat.TABLE
    with shown_progress(quiet=is_quiet) as on_progress, open_connector(settings).connector as connector:
        found = trace(connector, on_progress)
    if chosen is ReportFormat.JSON:
        print_json(found.to_json())
    else:
        print_trace(console(), found)
    return Exit.OK if found.is_proven else Exit.UNPROVEN
