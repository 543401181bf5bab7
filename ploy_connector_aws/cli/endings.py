"""How a command ends: its exit code, and its error as one sentence with the fix."""

from __future__ import annotations

import sys
import traceback
from enum import IntEnum

from rich.console import Console

from ploy_connector_aws.platform.batches import LineTooLong
from ploy_connector_aws.platform.errors import PlatformError, PlatformRefused, PlatformUnavailable, TokenRejected
from ploy_connector_aws.runtime.lock import LockTaken
from ploy_connector_aws.runtime.logs import without_commands
from ploy_connector_aws.runtime.reading import UnexpectedFailure
from ploy_connector_aws.runtime.state_file import UnusableStore
from ploy_connector_aws.spec import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    ConnectorRefused,
    HookFailedError,
    NotFound,
    PermissionMissing,
    TemporaryError,
)
from ploy_connector_aws.spec.redaction import redact

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


MEANINGS = {
    Exit.OK: "Done; a sync proved everything it read.",
    Exit.BUG: "Something failed that should not; run again with --debug and report it.",
    Exit.USAGE: "The command was typed wrongly.",
    Exit.CONFIGURATION: "A setting is wrong or missing.",
    Exit.AUTHENTICATION: "The role could not be assumed, or Ploy rejected the token.",
    Exit.PERMISSION: "A permission is missing, or a check failed.",
    Exit.TRY_AGAIN: "AWS, Ploy or the network did not answer, or another process is at work; try again later.",
    Exit.REFUSED: "Ploy or the connector refused; a person must act.",
    Exit.STATE: "The snapshot file or the task file cannot be used.",
    Exit.UNPROVEN: "The sync was committed, but parts could not be read; what they held was kept.",
    Exit.HELD: "The sync waits at Ploy until a person approves it.",
    Exit.NOT_FOUND: "There is no such account or entitlement, or more than one of the name.",
    Exit.INTERRUPTED: "Interrupted by Ctrl-C; what was under way is resumed or looked at by the next command.",
}
"""What each exit code means; the README's table is compared with it."""


class NameUnknown(Exception):
    """Nothing in the snapshot has that id or name, or more than one thing has."""


_ENDINGS: tuple[tuple[type[Exception], Exit], ...] = (
    (ConfigurationError, Exit.CONFIGURATION),
    (ConnectorRefused, Exit.CONFIGURATION),
    (AuthenticationError, Exit.AUTHENTICATION),
    (TokenRejected, Exit.AUTHENTICATION),
    (PermissionMissing, Exit.PERMISSION),
    (TemporaryError, Exit.TRY_AGAIN),
    (PlatformUnavailable, Exit.TRY_AGAIN),
    (LockTaken, Exit.TRY_AGAIN),
    (PlatformRefused, Exit.REFUSED),
    (PlatformError, Exit.REFUSED),
    (LineTooLong, Exit.REFUSED),
    (UnusableStore, Exit.STATE),
    (NameUnknown, Exit.NOT_FOUND),
    (NotFound, Exit.NOT_FOUND),
    (ConnectorError, Exit.REFUSED),
    (UnexpectedFailure, Exit.BUG),
    (HookFailedError, Exit.BUG),
)
"""Which error ends a command with which code; the first that fits counts."""


def report(error: BaseException, *, as_json: bool, debug: bool) -> Exit:
    """Say what went wrong, and choose the exit code."""
    code = next((code for kind, code in _ENDINGS if isinstance(error, kind)), Exit.BUG)
    is_known = any(isinstance(error, kind) for kind, _ in _ENDINGS)
    message = redact(str(error)) if is_known else f"Something failed that should not ({type(error).__name__})."
    fix = redact(found) if isinstance(found := getattr(error, "fix", None), str) else None
    if code is Exit.BUG:
        fix = fix or "run the command again with --debug and report what it prints"
    if debug:
        shown = redact("".join(traceback.format_exception(error)))
        sys.stderr.write(without_commands(shown, kept="\n"))
    if as_json:
        described = {"code": getattr(error, "code", None) or code.name.lower(), "message": message, "fix": fix}
        print_json({"error": described})
        return code
    console = Console(stderr=True)
    console.print(f"[bold red]Error:[/] {text(message)}", soft_wrap=True, highlight=False)
    if fix:
        console.print(f"[bold]Fix:[/] {text(fix)}", soft_wrap=True, highlight=False)
    return code
