"""Exit codes, and errors as a message with a fix: the one table from exceptions to exit statuses."""

from __future__ import annotations

import errno
import re
import shlex
import sys
import traceback
from contextlib import suppress
from enum import IntEnum

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

from .output import print_json, text


class Exit(IntEnum):
    """The exit codes, each with its meaning."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Exit:
        """Make a member of a code and its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    OK = 0, "Success; a sync proved everything that it read."
    BUG = 1, "Internal error; rerun with --debug and report it."
    USAGE = 2, "Invalid usage."
    CONFIGURATION = 3, "A setting is wrong or missing."
    AUTHENTICATION = 4, "The role could not be assumed, or Ploy rejected the token."
    PERMISSION = 5, "A permission is missing, or a check failed."
    TRY_AGAIN = 6, "AWS, Ploy or the network did not answer, or another process is running; try again later."
    REFUSED = 7, "Ploy or the connector rejected the request; a person must act."
    STATE = 8, "The snapshot file or the task file cannot be used, or the output cannot be written."
    UNPROVEN = 10, "The sync was committed, but not everything is proven; unproven records were kept."
    HELD = 11, "The sync waits in Ploy until a person approves it."
    NOT_FOUND = 12, "No account or entitlement has this name, or several have it."
    INTERRUPTED = 130, "Interrupted by Ctrl-C; the next command resumes or checks unfinished work."
    BROKEN_PIPE = 141, "The reader of the output, such as `head`, ended first."


MEANINGS = {code: code.meaning for code in Exit}
"""What each exit code means; the table in docs/commands.md is generated from it."""


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


def with_config(fix: str, config: str | None) -> str:
    """Add the configuration file of the command line to each command in a fix, so that it can be copied."""
    if config is None:
        return fix
    return _COMMAND.sub(lambda found: f"{found[0]} --config {shlex.quote(config)}", fix)


_COMMAND = re.compile(
    r"\bploy-connector (?:check|sync|run|setup|history)\b(?: --(?!config\b)[a-z][a-z-]*(?: trust-policy)?)*(?! --)"
)
"""A command, with its options, that needs a configuration file and does not name one."""
