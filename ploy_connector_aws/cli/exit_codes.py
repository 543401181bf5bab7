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
    PlatformRejectedError,
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
    """The exit codes. The text of each is in ``MEANINGS``."""

    OK = 0
    BUG = 1
    USAGE = 2
    CONFIGURATION = 3
    AUTHENTICATION = 4
    PERMISSION = 5
    TRY_AGAIN = 6
    REFUSED = 7
    STATE = 8
    UNPROVEN = 10
    HELD = 11
    NOT_FOUND = 12
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS = {
    Exit.OK: "Success; a sync proved everything that it read.",
    Exit.BUG: "Internal error; rerun with --debug and report it.",
    Exit.USAGE: "Invalid usage.",
    Exit.CONFIGURATION: "A setting is wrong or missing.",
    Exit.AUTHENTICATION: "The role could not be assumed, or Ploy rejected the token.",
    Exit.PERMISSION: "A permission is missing, or a check failed.",
    Exit.TRY_AGAIN: "AWS, Ploy or the network did not answer, or another process is running; try again later.",
    Exit.REFUSED: "Ploy or the connector rejected the request; a person must act.",
    Exit.STATE: "The snapshot file or the task file cannot be used, or the output cannot be written.",
    Exit.UNPROVEN: "The sync was committed, but not everything is proven; unproven records were kept.",
    Exit.HELD: "The sync waits at Ploy until a person approves it.",
    Exit.NOT_FOUND: "No account or entitlement has this name, or several have it.",
    Exit.INTERRUPTED: "Interrupted by Ctrl-C; the next command resumes or checks unfinished work.",
    Exit.BROKEN_PIPE: "The reader of the output, such as `head`, ended first.",
}
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


_EXIT_CODES: tuple[tuple[type[PloyError], Exit], ...] = (
    (OutputError, Exit.STATE),
    (ConfigurationError, Exit.CONFIGURATION),
    (InvalidConnectorError, Exit.CONFIGURATION),
    (AuthenticationError, Exit.AUTHENTICATION),
    (TokenRejectedError, Exit.AUTHENTICATION),
    (PermissionDeniedError, Exit.PERMISSION),
    (TemporaryError, Exit.TRY_AGAIN),
    (PlatformUnavailableError, Exit.TRY_AGAIN),
    (LockHeldError, Exit.TRY_AGAIN),
    (PlatformRejectedError, Exit.REFUSED),
    (PlatformError, Exit.REFUSED),
    (StateError, Exit.STATE),
    (UnknownNameError, Exit.NOT_FOUND),
    (NotFoundError, Exit.NOT_FOUND),
    (ConnectorError, Exit.REFUSED),
    (PloyError, Exit.BUG),
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
    code = next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), Exit.BUG)
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
