"""``ploy-connector check``: try the connection, and say what is missing."""

from __future__ import annotations

from rich.console import Console

from ploy_connector_aws.runtime.opening import open_connector
from ploy_connector_aws.spec import ConnectionReport

from .endings import Exit
from .opening import read_operator_settings
from .options import AsJson, ConfigFile, ConnectorName, Debug
from .output import console, print_json, text

MARKS = {"passed": "[green]✓[/]", "failed": "[bold red]✗[/]", "warning": "[yellow]![/]", "skipped": "[dim]-[/]"}


def check(
    config: ConfigFile = None, connector: ConnectorName = None, json: AsJson = False, debug: Debug = False
) -> Exit:
    """Try the connection: assume the role, find the instance, read one user. Changes nothing."""
    settings = read_operator_settings(config, connector, debug=debug)
    report = open_connector(settings).connector.hooks.test_connection()
    if json:
        print_json({"usable": report.is_usable, **report.model_dump(mode="json")})
    else:
        print_report(console(), report)
    return Exit.OK if report.is_usable else Exit.PERMISSION


def print_report(out: Console, report: ConnectionReport) -> None:
    """The report for people."""
    for made in report.checks:
        out.print(f"{MARKS[made.outcome]} [bold]{made.name}[/]  {text(made.message)}", soft_wrap=True)
        if made.fix:
            out.print(f"    [bold]Fix:[/] {text(made.fix)}", soft_wrap=True)
