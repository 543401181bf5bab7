"""Errors as a message with a fix, and the one table from exceptions to exit codes."""

from __future__ import annotations

import errno
import re
import shlex
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

from rich.console import Console

from ploy_connector_aws.host import InvalidConnectorError
from ploy_connector_aws.host.redaction import redact
from ploy_connector_aws.platform.errors import (
    PlatformError,
    PlatformUnavailableError,
    TokenRejectedError,
)
from ploy_connector_aws.runtime.logs import without_commands
from ploy_connector_aws.runtime.snapshot.lock import LockHeldError
from ploy_connector_aws.runtime.snapshot.state_file import StateError
from ploy_connector_aws.spec import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    PloyError,
    TemporaryError,
)

from .exit_codes import Exit
from .options import CONFIG
from .output import print_json, text


class UnknownNameError(PloyError):
    """No record in the snapshot has the id or name, or several have it."""

    code = "not_found"


_OUTPUT_ERRORS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class OutputError(PloyError):
    """The output cannot be written: the disk is full, the device failed or, with ``is_closed``, the reader ended."""

    @staticmethod
    def is_one(error: OSError) -> bool:
        """Whether an unexplained ``OSError`` comes from writing the output."""
        return error.errno in _OUTPUT_ERRORS or isinstance(error, BrokenPipeError)

    def __init__(self, error: OSError) -> None:
        self.is_closed = isinstance(error, BrokenPipeError)
        super().__init__(
            f"The output cannot be written: {error.strerror or type(error).__name__}.",
            fix=None if self.is_closed else "free some space, or write the output elsewhere",
        )


_EXIT_CODES: tuple[tuple[tuple[type[PloyError], ...], Exit], ...] = (
    ((OutputError, StateError), Exit.STATE),
    ((ConfigurationError, InvalidConnectorError), Exit.CONFIGURATION),
    ((AuthenticationError, TokenRejectedError), Exit.AUTHENTICATION),
    ((PermissionDeniedError,), Exit.PERMISSION),
    ((TemporaryError, PlatformUnavailableError, LockHeldError), Exit.TRY_AGAIN),
    ((UnknownNameError, NotFoundError), Exit.NOT_FOUND),
    ((PlatformError, ConnectorError), Exit.REFUSED),
    ((PloyError,), Exit.BUG),
)
"""The exit code of each exception; the first match counts."""


def report(error: BaseException, *, as_json: bool, debug: bool, config: str | None = None) -> Exit:
    """Print an error with its fix, and return the exit code.

    Args:
        error: The exception.
        as_json: Print one JSON document.
        debug: Print the traceback as well.
        config: The configuration file of the command line; it is added to the commands in the fix.
    """
    if isinstance(error, OutputError) and error.is_closed:
        return Exit.BROKEN_PIPE
    code = next((code for kinds, code in _EXIT_CODES if isinstance(error, kinds)), Exit.BUG)
    known = error if isinstance(error, PloyError) else None
    message = redact(str(known)) if known else f"Internal error ({type(error).__name__})."
    fix = redact(known.fix) if known and known.fix else None
    if code is Exit.BUG:
        fix = fix or "rerun with --debug and report the output"
    if fix:
        fix = with_config(fix, config)
    if debug:
        shown = redact("".join(traceback.format_exception(error)))
        sys.stderr.write(without_commands(shown, kept="\n"))
    if as_json and not isinstance(error, OutputError):
        described = {"code": known.code if known else PloyError.code, "message": message, "fix": fix}
        print_json({"error": described})
        return code
    console = Console(stderr=True)
    with suppress(OSError):  # if standard error cannot be written either, the status remains
        console.print(f"[bold red]Error:[/] {text(message)}", soft_wrap=True, highlight=False)
        if fix:
            console.print(f"[bold]Fix:[/] {text(fix)}", soft_wrap=True, highlight=False)
    return code


def find_config_file(arguments: Sequence[str]) -> str | None:
    """Return the configuration file that a command line names last, or None."""
    found = [after for before, after in pairwise(arguments) if before == CONFIG]
    found += [each.removeprefix(f"{CONFIG}=") for each in arguments if each.startswith(f"{CONFIG}=")]
    return found[-1] if found else None


def with_config(fix: str, config: str | None) -> str:
    """Add the configuration file of the command line to each command in a fix, so that it can be copied."""
    if config is None:
        return fix
    return _COMMAND.sub(lambda found: f"{found[0]} --config {shlex.quote(config)}", fix)


_COMMAND = re.compile(
    r"\bploy-connector (?:check|sync|run|setup|history)\b(?: --(?!config\b)[a-z][a-z-]*(?: trust-policy)?)*(?! --)"
)
"""A command, with its options, that needs a configuration file and does not name one."""
