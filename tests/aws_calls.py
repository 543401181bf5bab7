"""A check over the whole test run: the actions of AWS that the connector called, and those that it never called.

It records every call of a session of the connector to any local AWS of any worker. A call that is not listed, or not
for the purpose of its session, fails every run. An action that was never called fails a run of all tests: the policy,
or the page of optional permissions, would ask a customer for a needless permission, or a fallback was never tested.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import pytest
from _pytest.config import Config

from ploy_connector_aws.aws.permissions import ACTIONS, OPTIONAL, READS
from ploy_connector_aws.sandbox.aws.calls import Call, watch

LISTED = frozenset(action.iam for action in (*ACTIONS, *OPTIONAL))

_READS = frozenset(action.iam for action in READS)

ALLOWED: dict[str, frozenset[str]] = {
    # Asks for what cannot be made, see below; and two that are given no session that they could use.
    "probe": frozenset({"identitystore:CreateGroupMembership"}),
    "prove": frozenset(),
    "refuse": frozenset(),
    "grant": frozenset(
        {
            "identitystore:CreateGroupMembership",
            "identitystore:GetGroupMembershipId",
            "sso:CreateAccountAssignment",
            "sso:DescribeAccountAssignmentCreationStatus",
        }
    ),
    "revoke": frozenset(
        {
            "identitystore:DeleteGroupMembership",
            "identitystore:GetGroupMembershipId",
            "sso:DeleteAccountAssignment",
            "sso:DescribeAccountAssignmentDeletionStatus",
        }
    ),
}
"""By the purpose of a session, where it is not to read."""

AROUND_THE_GUARD = "unguarded"
"""The purpose of a session whose credentials a test takes away, to show that AWS itself says no."""

_OURS = re.compile(rf"ploy-(?!{AROUND_THE_GUARD}-)(?P<purpose>[a-z]+)-[0-9a-f]{{12}}")
"""The names of the connector's own sessions; tests of the local AWS take others, and call what they like."""

_KEY = "aws_actions"
_called: set[str] = set()


def note(call: Call) -> None:
    """Remember what the connector called."""
    called = to_noted(call)
    if called is not None:
        _called.add(called)


def to_noted(call: Call) -> str | None:
    """The action of a call of the connector's own, with the session's purpose where it is not for that.

    A probe that AWS carried out was none: it may have changed something.
    """
    ours = _OURS.fullmatch(call.session_name or "")
    if ours is None:
        return None
    purpose = ours["purpose"]
    is_harmless = purpose != "probe" or call.status >= HTTPStatus.BAD_REQUEST or call.status == 0
    is_right = call.action in ALLOWED.get(purpose, _READS) and is_harmless
    return call.action if is_right else f"{call.action} in a session for {purpose}"


def complaints(called: Iterable[str], *, is_whole_run: bool) -> list[str]:
    """Say in sentences what is wrong with the actions that were called."""
    seen = set(called)
    found = [f"The connector called {action}, which it must not." for action in sorted(seen - LISTED)]
    if is_whole_run:
        found += [f"No test made the connector call {action}." for action in sorted(LISTED - seen)]
    return found


def is_whole_run(config: Config) -> bool:
    """Whether all tests were asked for: no path, no expression."""
    option = config.option
    has_selection = option.keyword or option.markexpr or option.deselect or option.soak or getattr(option, "lf", False)
    return config.args_source is Config.ArgsSource.TESTPATHS and not has_selection and not option.collectonly


def pytest_configure() -> None:
    watch(note)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker of pytest-xdist saw."""
    _called.update(getattr(node, "workeroutput", {}).get(_KEY, ()))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_KEY] = sorted(_called)
        return
    whole = is_whole_run(session.config) and exitstatus == pytest.ExitCode.OK
    session.config.stash[_COMPLAINTS] = complaints(_called, is_whole_run=whole)
    if session.config.stash[_COMPLAINTS]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: Config) -> None:
    found = config.stash.get(_COMPLAINTS, [])
    if found:
        terminalreporter.section("AWS calls of the whole run", red=True)
    for sentence in found:
        terminalreporter.line(sentence)


_COMPLAINTS = pytest.StashKey[list[str]]()
