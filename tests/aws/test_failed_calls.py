"""One call that fails for a whole run changes, adds and removes no record: each call, in each way to fail.

The records of a run go through the runtime's own comparison, as a host's do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

import pytest

from ploy_connector_aws.aws.permissions import BY_PERMISSION_SET, READS
from ploy_connector_aws.runtime.snapshot.compare import Changes
from ploy_connector_aws.sandbox.aws import Faults
from ploy_connector_aws.sandbox.aws.faults import Where
from ploy_connector_aws.sandbox.aws.requests import ApiRequest
from tests.aws.conftest import with_account_names
from tests.aws.host import Host

DETAILS = "iam:GetAccountAuthorizationDetails"
FILTERS = (("LocalManagedPolicy", "AWSManagedPolicy", "Group"), ("User", "Role"))
FALLBACK = ("iam:ListPolicies", "iam:ListUsers", "iam:ListGroups", "iam:ListRoles")

NOT_CALLED = {
    # Only grants and revokes look a membership up.
    "GetGroupMembershipId",
    # The local AWS sends the tags with the descriptions.
    "DescribeTags",
    "ListTagsForResource",
    # A member who is in the list of users is not described.
    "DescribeUser",
    # The role lacks the optional permissions; see identity_center/test_strategies.py.
    *(action.operation for action in BY_PERMISSION_SET),
}


@dataclass(frozen=True)
class FailedCall:
    """The calls that fail: of some operations, or of one with these filters."""

    operations: tuple[str, ...]
    filters: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((*self.operations, *self.filters))

    @property
    def where(self) -> Where | None:
        return self._has_filters if self.filters else None

    def _has_filters(self, asked: ApiRequest) -> bool:
        return set(asked.parameters.get("Filter", ())) == set(self.filters)


OF_IAM = (
    *(FailedCall((DETAILS,), filters) for filters in FILTERS),
    FailedCall(("iam:ListUsers",)),
    FailedCall(("iam:ListRoles",)),
    *(FailedCall((DETAILS, each)) for each in FALLBACK),
    FailedCall((DETAILS, *FALLBACK)),
)
OF_OTHERS = tuple(
    FailedCall((action.iam,)) for action in READS if action.client != "iam" and action.operation not in NOT_CALLED
)


@pytest.fixture
def host(host: Host) -> Host:
    """The host with every call of a sync: also the one that reads the names of AWS accounts."""
    return with_account_names(host)


Fail = Callable[[Faults, str, Where | None], object]

FAILURES: dict[str, Fail] = {
    "denied": lambda faults, call, where: faults.answer(call, "AccessDenied", status=403, where=where),
    "internal error": lambda faults, call, where: faults.answer(call, "InternalFailure", status=500, where=where),
    "throttled": lambda faults, call, where: faults.throttle(1, call, where=where),
    "strange error": lambda faults, call, where: faults.answer(call, "SomethingNew", where=where),
}


def fail(host: Host, *failed: FailedCall, failure: str = "denied") -> None:
    """Make a run in which calls fail: it changes no record."""
    for each in failed:
        for call in each.operations:
            FAILURES[failure](host.faults, call, each.where)
    changes = host.check_unchanged()
    assert changes.unproven_scopes, f"{failed}: nothing is unproven, so the call was never made"
    host.faults.reset()


def check(host: Host, *failed: FailedCall, failure: str = "denied") -> None:
    """Make a run in which calls fail, and one in which none does: both change no record."""
    fail(host, *failed, failure=failure)
    before = host.count_records()
    assert host.sync() == Changes(before=before, after=before)


def rounds() -> list[list[FailedCall]]:
    """Put the calls of other services into rounds: in each at most one of a service, so none keeps another away."""
    by_service: dict[str, list[FailedCall]] = defaultdict(list)
    for failed in OF_OTHERS:
        service = failed.operations[0].partition(":")[0]
        by_service["sso" if service == "identitystore" else service].append(failed)
    return [[each for each in one if each is not None] for one in zip_longest(*by_service.values())]


ALIKE = {FailedCall((DETAILS, each)) for each in ("iam:ListUsers", "iam:ListGroups")}
"""As without the list of the roles, and as without all lists."""


@pytest.mark.parametrize(
    "failed", [pytest.param(each, marks=[pytest.mark.soak] if each in ALIKE else []) for each in OF_IAM], ids=str
)
def test_one_failed_call_of_iam_changes_no_record(host: Host, failed: FailedCall) -> None:
    assert {"account", "entitlement", "grant", "resource", "finding"} == host.sync().added.keys()
    check(host, failed)
    if failed in (OF_IAM[0], OF_IAM[-1]):
        check(host, failed, failure="internal error")


def test_a_failed_call_of_each_other_service_changes_no_record(host: Host) -> None:
    host.sync()
    denied = set()
    for failed in rounds():
        host.customer.aws.calls.clear()
        fail(host, *failed)  # what failed in the round before is read again
        denied |= {call.action for call in host.customer.aws.calls if call.status == 403}
    assert denied == {each.operations[0] for each in OF_OTHERS}
    before = host.count_records()
    assert host.sync() == Changes(before=before, after=before)


@pytest.mark.soak
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("failed", [*OF_IAM, *OF_OTHERS], ids=str)
def test_one_failed_call_changes_no_record_however_it_fails(host: Host, failed: FailedCall, failure: str) -> None:
    host.sync()
    check(host, failed, failure=failure)


def test_a_first_run_without_a_call_of_iam_leaves_the_details_partial(host: Host) -> None:
    """What could not be read says nothing: the next run adds it, and overwrites nothing that was read in full."""
    host.faults.deny(DETAILS)
    host.sync()
    full = host.records(also_partial=False)
    host.faults.reset()
    changes = host.sync()

    assert changes.removed == {}
    assert full.items() <= host.records().items()
