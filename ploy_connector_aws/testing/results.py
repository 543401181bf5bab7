"""What a rule is, and what came out of it for one connector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar, overload

from ploy_connector_aws.host.safe_errors import to_text
from ploy_connector_aws.spec import PloyError

if TYPE_CHECKING:
    from .validation import Validation

Outcome: TypeAlias = Literal["passed", "warning", "failed", "skipped"]
"""A warning is a broken rule that a connector may have a reason for."""

MOST_PROBLEMS = 10
"""The limit on problems of a rule that are shown; the others are counted."""

_LONGEST_TEXT = 1_000


class NotTestedError(Exception):
    """A rule could not be tested here; the text is the reason, one sentence for the author."""


T = TypeVar("T")


class Shared(cached_property[T]):
    """A property that is computed once. The ``not_tested`` of its object keeps the reason where it cannot be."""

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...
    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        """Return the value, or raise the reason."""
        reasons: dict[str | None, str] = instance.not_tested
        if self.attrname in reasons:
            raise NotTestedError(reasons[self.attrname])
        try:
            return super().__get__(instance, owner)
        except NotTestedError as error:
            reasons[self.attrname] = str(error)
            raise


@dataclass(frozen=True)
class Problem:
    """One place where a connector breaks a rule."""

    where: str
    """The record, scope, hook, setting or file, e.g. ``account 'ann'`` or ``scope 'people'``."""
    message: str
    """What was seen there, as one sentence."""
    fix: str | None = None
    """What to do about it; None for the fix of the rule."""
    hook: str | None = None
    """The hook that shows it; None where none does, as with the manifest."""
    file: str | None = None
    """The file and the line of the hook or else of the class, which the kit fills in."""

    @property
    def place(self) -> str:
        """Everything that says where it is, e.g. ``scope 'people', hook list_accounts, staff/plugin.py line 53``."""
        hook = f"hook {self.hook}" if self.hook else None
        return ", ".join(dict.fromkeys(filter(None, (self.where, hook, self.file))))


Check: TypeAlias = "Callable[[Validation], Iterator[Problem]]"
"""Yields what breaks a rule; raises ``NotTestedError`` where the connector or its data give no occasion to test it."""


@dataclass(frozen=True)
class Rule:
    """One rule that a connector must keep."""

    id: str
    """Stable: reports, JUnit files and documents use it, e.g. ``ids-are-unique``."""
    tier: Literal[0, 1, 2]
    """0: reads any real system. 1: a driver makes the source fail. 2: a driver lets the connector write."""
    proves: str
    """What holds where the rule is kept, as one sentence."""
    fix: str
    """What the author of a connector that breaks it should do, as one sentence."""
    check: Check
    only_warns: bool = False
    """Whether a connector may have a reason to break it."""


@dataclass(frozen=True)
class Result:
    """What came out of one rule. Its texts hold no secret of the settings."""

    rule: Rule
    outcome: Outcome
    problems: tuple[Problem, ...] = ()
    more_problems: int = 0
    """How many problems are left out of ``problems``."""
    reason: str | None = None
    """Why it was skipped."""

    def __str__(self) -> str:
        """The rule, each problem with its place, and the fix: the text of a failed test."""
        lines = [f"Rule {self.rule.id}: {self.rule.proves}"]
        lines += [f"  {each.place}: {each.message}" for each in self.problems]
        lines += [f"  and {self.more_problems} more"] if self.more_problems else []
        lines += [f"  Skipped: {self.reason}"] if self.reason else []
        if self.problems:
            fixes = dict.fromkeys(each.fix or self.rule.fix for each in self.problems)
            lines += [f"  Fix: {fix}" for fix in fixes]
        return "\n".join(lines)


def examine(rule: Rule, validation: Validation) -> Result:
    """Test one rule, and return what came out of it.

    Args:
        rule: The rule.
        validation: The connector under test.
    """
    found: list[Problem] = []
    reason: str | None = None
    try:
        found += rule.check(validation)
    except NotTestedError as error:
        reason = to_text(str(error), _LONGEST_TEXT)
    except PloyError as error:
        found.append(Problem("connector", error.message))
    except Exception as error:
        message = validation.describe_driver_error(error)
        if message is None:
            raise
        found.append(Problem("driver", f"It raised an exception: {message}", "Correct the driver of the test."))
    if not found:
        return Result(rule, "passed" if reason is None else "skipped", reason=reason)
    shown = tuple(_complete(problem, validation) for problem in found[:MOST_PROBLEMS])
    return Result(rule, "warning" if rule.only_warns else "failed", shown, len(found) - len(shown))


def _complete(problem: Problem, validation: Validation) -> Problem:
    """Return a problem without secrets, with the file of its hook."""
    return Problem(
        to_text(problem.where, _LONGEST_TEXT),
        to_text(problem.message, _LONGEST_TEXT),
        None if problem.fix is None else to_text(problem.fix, _LONGEST_TEXT),
        problem.hook,
        problem.file or validation.locate(problem.hook),
    )
