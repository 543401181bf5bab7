"""The ``ploy-connector`` application: its commands, and ``main``."""

from __future__ import annotations

import sys
import threading
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperCommand, TyperGroup

from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.snapshot.lock import name_process

from . import exit_codes
from .access import access
from .check import check
from .connectors import connectors, manifest
from .demo import demo
from .exit_codes import Exit, OutputError
from .grant_revoke import grant, revoke
from .listing import list_records
from .options import find_config_file
from .output import discard_output, owned_stdout, stream
from .run import run
from .sandbox import sandbox
from .setup import setup
from .stopping import end_if_signalled, end_soon_when_interrupted
from .sync import history, sync


def _end(code: Exit) -> None:
    raise typer.Exit(code)


class _Commands(TyperGroup):
    """A group of commands that raises an ``OutputError`` for a closed output, where Typer would end with status 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise OutputError(error) from None


class _Command(TyperCommand):
    """A command with standard output reserved for it."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        with owned_stdout():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    result_callback=_end,
    name="ploy-connector",
    help="Read who can access what, prove it, and push it to Ploy.",
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


app.command(cls=_Command)(setup)
app.command(cls=_Command)(check)
app.command(cls=_Command)(sync)
app.command(cls=_Command)(run)
app.command("list", cls=_Command)(list_records)
app.command(cls=_Command)(access)
app.command(cls=_Command)(grant)
app.command(cls=_Command)(revoke)
app.command(cls=_Command)(history)
app.command(cls=_Command)(manifest)
app.command(cls=_Command)(connectors)
app.command(cls=_Command)(sandbox)
app.command(cls=_Command)(demo)


def main() -> None:
    """Run the command of the command line, and end the process with its exit code."""
    end_soon_when_interrupted()
    Console.on_broken_pipe = _raise_broken_pipe  # type: ignore[method-assign]  # Rich's own ends with status 1
    original_hook, threading.excepthook = threading.excepthook, logs.log_thread_failure
    try:
        try:
            app()
        finally:
            stream().flush()
    except KeyboardInterrupt:
        end_if_signalled(Exit.INTERRUPTED)
        sys.exit(Exit.INTERRUPTED)
    except SystemExit as error:
        end_if_signalled(error.code if isinstance(error.code, int) else int(error.code is not None))
        raise
    except BaseException as error:  # noqa: BLE001 - every error becomes one message
        sys.exit(_report(error))
    finally:
        threading.excepthook = original_hook


def _report(error: BaseException) -> Exit:
    if isinstance(error, OSError) and OutputError.is_one(error):
        error = OutputError(error)
    if isinstance(error, OutputError):
        discard_output()
    arguments = sys.argv[1:]
    config = find_config_file(arguments)
    return exit_codes.report(error, as_json="--json" in arguments, debug="--debug" in arguments, config=config)


def _raise_broken_pipe(self: Console) -> None:  # noqa: ARG001
    raise OutputError(BrokenPipeError())
