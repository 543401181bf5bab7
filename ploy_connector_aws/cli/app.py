"""The ``ploy-connector`` application: its commands, and ``main``."""

from __future__ import annotations

import sys
import threading
from itertools import pairwise
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from ploy_connector_aws import __version__

from . import commands
from .examples import EXAMPLES
from .exit_codes import Exit
from .stdout import discard_output, owned_stdout, stream
from .stopping import end_if_signalled, end_soon_when_interrupted, print_interrupted


def _end(code: Exit, **_: object) -> None:
    raise typer.Exit(code)


def _prepare(ctx: Any) -> None:
    """Show no type of a switch in the help, and let shell completion convert no values: Typer would import pydantic."""
    for parameter in ctx.command.get_params(ctx):
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""
        if ctx.resilient_parsing:
            parameter.process_value = lambda ctx, value: value  # noqa: ARG005


class _Commands(TyperGroup):
    """A group of commands that raises an ``OutputError`` for a closed output, where Typer would end with status 1."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _prepare(ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            from .errors import OutputError

            raise OutputError(error) from None


class _Command(TyperCommand):
    """A command of which other processes learn the name, with standard output reserved for it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _prepare(ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        with owned_stdout():
            from ploy_connector_aws.runtime.snapshot.lock import name_process

            name_process(_SERVICES.get(ctx.info_name, f"`ploy-connector {ctx.info_name}`"))
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    result_callback=_end,
    name="ploy-connector",
    help="Read who can access what, prove it, and push it to Ploy.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
_SERVICES = {"run": "the service `ploy-connector run`", "sandbox": "the service of `ploy-connector sandbox`"}


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"ploy-connector {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version, and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """The options of the program itself."""


def _render_examples(examples: tuple[str, ...]) -> str:
    """Render examples for the end of a help; Typer joins lines, but not paragraphs."""
    title = "Example:" if len(examples) == 1 else "Examples:"
    return "\n\n".join([title, *(f"  [bold]ploy-connector {escape(each)}[/]" for each in examples)])


for command in (
    commands.setup,
    commands.check,
    commands.sync,
    commands.run,
    commands.list_records,
    commands.who,
    commands.access,
    commands.grant,
    commands.revoke,
    commands.history,
    commands.manifest,
    commands.connectors,
    commands.validate,
    commands.new,
    commands.sandbox,
    commands.demo,
):
    name = "list" if command is commands.list_records else command.__name__
    app.command(name, cls=_Command, epilog=_render_examples(EXAMPLES[name]))(command)


def main() -> None:
    """Run the command of the command line, and end the process with its exit code."""
    end_soon_when_interrupted()
    Console.on_broken_pipe = _raise_broken_pipe  # type: ignore[method-assign]  # Rich's own ends with status 1
    original_hook, threading.excepthook = threading.excepthook, _log_thread_failure
    try:
        try:
            app()
        finally:
            stream().flush()
    except KeyboardInterrupt:
        end_if_signalled(Exit.INTERRUPTED)
        print_interrupted()
        sys.exit(Exit.INTERRUPTED)
    except SystemExit as error:
        end_if_signalled(error.code if isinstance(error.code, int) else int(error.code is not None))
        raise
    except BaseException as error:  # noqa: BLE001 - every error becomes one message
        sys.exit(_report(error))
    finally:
        threading.excepthook = original_hook


def _log_thread_failure(failed: threading.ExceptHookArgs) -> None:
    from ploy_connector_aws.runtime import logs

    logs.log_thread_failure(failed)


def _report(error: BaseException) -> Exit:
    from .errors import OutputError, find_config_file, report

    if isinstance(error, OSError) and OutputError.is_one(error):
        error = OutputError(error)
    if isinstance(error, OutputError):
        discard_output()
    arguments = sys.argv[1:]
    config = find_config_file(arguments)
    return report(error, as_json=_is_json(arguments), debug="--debug" in arguments, config=config)


def _is_json(arguments: list[str]) -> bool:
    """Whether the command prints one JSON document, also for an error."""
    return "--json" in arguments or "--format=json" in arguments or ("--format", "json") in pairwise(arguments)


def _raise_broken_pipe(self: Console) -> None:  # noqa: ARG001
    from .errors import OutputError

    raise OutputError(BrokenPipeError())
