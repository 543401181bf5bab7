"""Error answers: their model, and all codes with status and title."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import Field

from .bodies import ResponseModel


class LineProblem(ResponseModel):
    """The reason why one line of a batch was rejected."""

    line: int = Field(description="Its number in the batch, from 1.")
    reason: str = Field(description="Never repeats the content of the line.")


class Problem(ResponseModel):
    """An error answer (RFC 9457, application/problem+json)."""

    type: str = "about:blank"
    title: str = ""
    status: int
    detail: str | None = None
    code: str | None = Field(default=None, description="Machine-readable: one of the codes of the call.")
    errors: tuple[LineProblem, ...] = Field(default=(), description="The first rejected lines.")


class ProblemKind(NamedTuple):
    """The status and title of a kind of problem."""

    status: int
    title: str


PROBLEMS: dict[str, ProblemKind] = {
    "body_unreadable": ProblemKind(400, "The body is not what its headers say it is."),
    "digest_mismatch": ProblemKind(400, "The body is not the one that Content-Digest names, or no digest was sent."),
    "token_rejected": ProblemKind(401, "The token is unknown or revoked."),
    "base_stale": ProblemKind(412, "The delta's base is not the newest generation; send a full one."),
    "integration_unknown": ProblemKind(404, "This token serves no such integration."),
    "connector_unknown": ProblemKind(404, "No runtime of this organisation has sent a manifest of such a connector."),
    "sync_unknown": ProblemKind(404, "This integration never had such a sync."),
    "sync_taken": ProblemKind(409, "Another runtime is uploading; Retry-After is when its lease ends."),
    "batch_conflict": ProblemKind(409, "Another batch has this number already."),
    "batches_differ": ProblemKind(409, "The batches that arrived are not those that the commit names."),
    "commit_conflict": ProblemKind(409, "This sync was committed with another body."),
    "stale_reading": ProblemKind(409, "What is visible, or held for a person, was read later than this."),
    "sync_gone": ProblemKind(410, "The sync was replaced, aborted or rejected."),
    "body_too_large": ProblemKind(413, "The body is larger than the limits allow."),
    "not_gzip_ndjson": ProblemKind(415, "A batch is gzip-coded application/x-ndjson."),
    "body_invalid": ProblemKind(422, "The body does not fit its model."),
    "lines_rejected": ProblemKind(422, "Some lines are wrong, so the whole batch is refused."),
    "counts_differ": ProblemKind(422, "What arrived is not as many records and scopes as the commit says."),
    "scopes_unannounced": ProblemKind(422, "Records name scopes that no scope line announced."),
    "outcome_differs": ProblemKind(422, "The platform's comparison finds other changes than the commit expects."),
    "clock_ahead": ProblemKind(422, "Something is said to have happened in the future: the runtime's clock is wrong."),
    "task_unknown": ProblemKind(404, "This integration never had such a task."),
    "lease_lost": ProblemKind(409, "The task was leased again, or has ended, since this lease was given."),
    "task_conflict": ProblemKind(409, "Another report of this task arrived already."),
    "change_conflict": ProblemKind(409, "Another report of this change arrived already."),
    "check_conflict": ProblemKind(409, "This check ended already, with another report."),
    "set_up_unfinished": ProblemKind(
        409, "No connection test of these settings was passed yet; only tests are wanted."
    ),
    "settings_in_use": ProblemKind(
        409, "The integration is in use; its settings are changed on the integrations page only."
    ),
    "unavailable": ProblemKind(503, "Not now; Retry-After says when."),
}
"""Every code of an error answer. A problem without a code is one of HTTP itself."""
