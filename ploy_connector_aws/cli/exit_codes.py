"""The exit codes."""

from __future__ import annotations

from enum import IntEnum


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
    USAGE = 2, "Invalid usage, or a change that was not confirmed; nothing was changed."
    CONFIGURATION = 3, "A setting is wrong or missing."
    AUTHENTICATION = 4, "The source rejected the credentials, or Ploy rejected the token."
    PERMISSION = 5, "A permission is missing, or a check failed."
    TRY_AGAIN = 6, "The source, Ploy or the network did not answer, or another process is running; try again later."
    REFUSED = 7, "Ploy or the connector rejected the request; a person must act."
    STATE = 8, "The snapshot file or the task file cannot be used, or the output cannot be written."
    UNPROVEN = 10, "Not everything is proven; a sync was committed, and kept the unproven records."
    HELD = 11, "The sync waits in Ploy until a person approves it."
    NOT_FOUND = 12, "No record has this name, or several have it."
    FINDINGS = 13, "`list findings` found open findings of the severities that were asked for, by default of all."
    RULES_BROKEN = 14, "`validate` found a rule that the connector breaks."
    INTERRUPTED = 130, "Interrupted by Ctrl-C; the next command resumes or checks unfinished work."
    BROKEN_PIPE = 141, "The reader of the output, such as `head`, ended first."


MEANINGS = {code: code.meaning for code in Exit}
"""What each exit code means; the table in docs/reference/commands.md is generated from it."""
