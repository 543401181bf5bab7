"""Decides how assignments are read: principal by principal, or permission set by permission set.

By principal takes one call for each user and group. By permission set takes one call for each permission set, which
lists the AWS accounts that it is used in, and one for each of these pairs. It needs two optional permissions.

What was chosen is remembered in the connector's memory with what the last read counted. Nothing rests on it but the
number of calls: without it, the choice is made afresh.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import ValidationError

from ploy_connector_aws.aws.permissions import BY_PERMISSION_SET
from ploy_connector_aws.spec import ConnectorContext
from ploy_connector_aws.spec._models import FrozenModel

Strategy = Literal["principals", "permission_sets"]

CHEAPER = 0.8
"""The other strategy must take at most this share of the calls."""

SCANS = 3
"""In so many scans in a row, before a choice is changed."""

_MEMORY = "assignments"

_NAMES = " and ".join(action.iam for action in BY_PERMISSION_SET)


class Counts(NamedTuple):
    """What decides the number of calls; long lists take a few more."""

    principals: int
    permission_sets: int
    pairs: int
    """Pairs of permission set and AWS account in which it is used."""

    def calls(self, strategy: Strategy) -> int:
        """Return how many calls a strategy takes."""
        return self.principals if strategy == "principals" else self.permission_sets + self.pairs

    def is_cheaper(self, strategy: Strategy, than: Strategy) -> bool:
        """Whether a strategy takes clearly fewer calls than another one."""
        return self.calls(strategy) <= CHEAPER * self.calls(than) and self.calls(than) > 0


class FailedCall(FrozenModel):
    """The call that kept the last read from going by permission set. It is the first to be made again."""

    permission_set_arn: str
    account_id: str | None = None
    """None: listing the accounts of the permission set."""
    message: str


class LastRead(FrozenModel):
    """How the last scan read the assignments, and what it counted."""

    instance_arn: str
    strategy: Strategy
    principals: int
    permission_sets: int
    pairs: int
    streak: int = 0
    """In how many scans in a row, up to the last one, the other strategy would have been cheaper."""
    failed_call: FailedCall | None = None
    unended: Strategy | None = None
    """The earlier strategy, until a scan has ended its scopes: verified grants and revokes may name them."""

    @property
    def counts(self) -> Counts:
        """What the last scan counted."""
        return Counts(self.principals, self.permission_sets, self.pairs)


class Choice(NamedTuple):
    """A strategy, and the streak to remember with it."""

    strategy: Strategy
    streak: int = 0


def recall(context: ConnectorContext, instance_arn: str | None = None) -> LastRead | None:
    """Return how the last scan read the assignments; None where that is unknown, or was another instance.

    Args:
        context: The connector's context.
        instance_arn: The instance; None for any.
    """
    try:
        last = LastRead.model_validate_json(context.memory.get(_MEMORY, ""))
    except ValidationError:
        return None
    return last if instance_arn in (None, last.instance_arn) else None


def remember(context: ConnectorContext, read: LastRead) -> None:
    """Remember how the assignments were read."""
    text = read.model_dump_json(exclude_defaults=True)
    if context.memory.get(_MEMORY) != text:
        context.memory[_MEMORY] = text


def is_worth_listing(last: LastRead | None, principals: int, permission_sets: int) -> bool:
    """Whether to list the accounts of all permission sets, which a read by permission set begins with.

    Args:
        last: The last scan.
        principals: How many users and groups there are.
        permission_sets: How many permission sets there are.
    """
    if last is not None and last.strategy == "permission_sets":
        return True
    estimate = Counts(principals, permission_sets, last.pairs if last else 0)
    return choose(last, estimate).strategy == "permission_sets"


def choose(last: LastRead | None, counts: Counts) -> Choice:
    """Choose a strategy. A choice is kept until the other one was cheaper for some scans.

    A read by principal for lack of a permission is no choice: it ends as soon as the permission is there.

    Args:
        last: The last scan.
        counts: What is to be read now.
    """
    if last is None or last.failed_call is not None:
        return Choice("permission_sets" if counts.is_cheaper("permission_sets", "principals") else "principals")
    other: Strategy = "principals" if last.strategy == "permission_sets" else "permission_sets"
    if not counts.is_cheaper(other, last.strategy):
        return Choice(last.strategy)
    streak = last.streak + 1
    return Choice(other) if streak >= SCANS else Choice(last.strategy, streak)


def describe(last: LastRead) -> str:
    """Describe how the assignments were read, why, and what a permission would save."""
    counts = last.counts
    both = f"{counts.calls('principals')} calls by principal"
    by_set = f"{counts.calls('permission_sets')} by permission set"
    if last.strategy == "permission_sets":
        return f"Assignments are read by permission set: {by_set} instead of {both}."
    if not counts.is_cheaper("permission_sets", "principals"):
        return f"Assignments are read by principal: {both}, and {by_set} would not be clearly fewer."
    if last.failed_call is not None:
        return (
            "Assignments are read by principal, as they could not be read by permission set "
            f"({last.failed_call.message}). With {_NAMES}, {by_set} would do instead of {both}."
        )
    return f"Assignments are read by principal: {both}. If it stays so, the next scans change to {by_set}."
