"""The commands of ``ploy-connector``, and how they end."""

from __future__ import annotations

import sys

import click
import typer

from . import endings
from .access import access
from .check import check
from .demo import demo
from .endings import Exit
from .listing import list_records
from .manifest import manifest
from .sandbox import sandbox
from .sync import sync

app = typer.Typer(
    name="ploy-connector",
    help="Reads who can enter what, proves it, and pushes it to Ploy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(check)
app.command()(sync)
app.command("list")(list_records)
app.command()(access)
app.command()(manifest)
app.command()(sandbox)
app.command()(demo)


def main() -> None:
    """Run the command that was typed, and end the process with its exit code."""
    try:
        code = app(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one sentence
        code = endings.report(error, as_json="--json" in sys.argv, debug="--debug" in sys.argv)
    sys.exit(int(code or Exit.OK))
