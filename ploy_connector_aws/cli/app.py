"""The commands of ``ploy-connector``, and how they end."""

from __future__ import annotations

import sys
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from ploy_connector_aws.runtime.lock import name_process

from . import endings
from .access import access
from .change import grant, revoke
from .check import check
from .demo import demo
from .endings import Exit, OutputError
from .history import history
from .listing import list_records
from .manifest import manifest
from .options import find_config_file
from .output import discard_output
from .run import run
from .sandbox import sandbox
from .setup import setup
from .stopping import end_if_signalled, end_soon_when_interrupted
from .sync import sync


def _end(code: Exit) -> None:
    raise typer.Exit(code)


class _Commands(TyperGroup):
    """Typer ends with 1 where an output is closed: here that is an error like others, with a status of its own."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise OutputError(error) from None


app = typer.Typer(
    cls=_Commands,
    result_callback=_end,
    name="ploy-connector",
    help="Reads who can enter what, proves it, and pushes it to Ploy.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_SERVICES = {"run": "the service `ploy-connector run`", "sandbox": "the service of `ploy-connector sandbox`"}


@app.callback()
def _name_process(context: typer.Context) -> None:
    command = context.invoked_subcommand or ""
    name_process(_SERVICES.get(command, f"`ploy-connector {command}`"))


app.command()(setup)
app.command()(check)
app.command()(sync)
app.command()(run)
app.command("list")(list_records)
app.command()(access)
app.command()(grant)
app.command()(revoke)
app.command()(history)
app.command()(manifest)
app.command()(sandbox)
app.command()(demo)


def main() -> None:
    """Run the command that was typed, and end the process with its exit code."""
    end_soon_when_interrupted()
    Console.on_broken_pipe = _raise_broken_pipe  # type: ignore[method-assign]  # Rich's own ends with 1
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        end_if_signalled(Exit.INTERRUPTED)
        sys.exit(Exit.INTERRUPTED)
    except SystemExit as ended:
        end_if_signalled(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, a person gets one sentence
        sys.exit(_report(error))


def _report(error: Exception) -> Exit:
    if isinstance(error, OSError) and OutputError.is_one(error):
        error = OutputError(error)
    if isinstance(error, OutputError):
        discard_output()
    typed = sys.argv[1:]
    return endings.report(error, as_json="--json" in typed, debug="--debug" in typed, config=find_config_file(typed))


def _raise_broken_pipe(self: Console) -> None:  # noqa: ARG001
    raise OutputError(BrokenPipeError())
