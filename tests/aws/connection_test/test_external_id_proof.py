"""The role is used only while the connector has proven that it requires exactly this external ID."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.spec import (
    AccessRequest,
    AuthenticationError,
    Check,
    ConnectorContext,
    ConnectorError,
    Page,
    TemporaryError,
    ignore_progress,
)
from tests.aws.conftest import is_proof, of_session

from .conftest import EMPTY_GROUP, BrokenRole

OPEN_BY = {"no external id is required": None, "any external id is accepted": {"StringLike": {"sts:ExternalId": "*"}}}
NOTHING: frozenset[str] = frozenset()

Use = Callable[[AwsConnector, AccessRequest], Any]

USES: dict[str, Use] = {
    "list_accounts": lambda connector, _: list(connector.list_accounts(NOTHING)),
    "list_entitlements": lambda connector, _: list(connector.list_entitlements(NOTHING)),
    "list_resources": lambda connector, _: list(connector.list_resources(NOTHING)),
    "grant": lambda connector, request: connector.grant(request),
    "revoke": lambda connector, request: connector.revoke(request),
    "preview": lambda connector, request: connector.grant(request.model_copy(update={"preview": True})),
}


def connect(broken_role: BrokenRole, **settings: Any) -> AwsConnector:
    connector = AwsConnector()
    connector.configure(
        {**broken_role.settings, "scopes": ["identity-center", "iam", "sqs/queues"], **settings}, ConnectorContext()
    )
    return connector


def make_request(broken_role: BrokenRole) -> AccessRequest:
    user_id, group_id = broken_role.seeded.users["ana"], broken_role.seeded.groups[EMPTY_GROUP]
    return AccessRequest(request_id="r1", account_id=user_id, entitlement_id=group_id)


def role_calls(broken_role: BrokenRole) -> list[str]:
    """Return the calls with the role's credentials, and the requests for them."""
    return [call.operation for call in broken_role.aws.calls if not is_proof(call)]


def proofs(broken_role: BrokenRole) -> int:
    return sum(is_proof(call) for call in broken_role.aws.calls)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("condition", OPEN_BY.values(), ids=OPEN_BY)
def test_a_role_that_others_can_assume_is_not_entered_even_without_a_connection_test(
    broken_role: BrokenRole, use: Use, condition: dict[str, Any] | None
) -> None:
    broken_role.trust_under(condition)
    with pytest.raises(AuthenticationError, match="parties other than this integration") as refused:
        use(connect(broken_role), make_request(broken_role))

    assert "Replace the role's trust policy by this one" in str(refused.value.fix)
    assert (role_calls(broken_role), proofs(broken_role)) == ([], 5)
    assert not [
        call for call in broken_role.aws.calls if (call.session_name or "").startswith(("ploy-prove", "ploy-ref"))
    ]


def test_a_role_that_fails_the_connection_test_is_not_used_until_a_test_passes(broken_role: BrokenRole) -> None:
    connector, other = connect(broken_role), connect(broken_role)
    broken_role.trust_under(None)
    assert connector.test_connection(ignore_progress).is_blocked
    broken_role.aws.calls.clear()

    for use in USES.values():
        for each in (connector, other):
            with pytest.raises(AuthenticationError):
                use(each, make_request(broken_role))
    assert len(broken_role.aws.calls) == 0
    broken_role.restore_trust()
    assert not connector.test_connection(ignore_progress).is_blocked
    assert any(page.records for page in connector.list_accounts(NOTHING))
    assert other.grant(make_request(broken_role)).outcome == "applied"


def test_a_block_outlives_an_incomplete_test_and_the_same_settings_again(broken_role: BrokenRole) -> None:
    connector = connect(broken_role)
    broken_role.trust_under(None)
    connector.test_connection(ignore_progress)
    broken_role.restore_trust()
    broken_role.aws.faults.throttle(1, "AssumeRole")
    assert not connector.test_connection(ignore_progress).is_blocked
    connector.configure(broken_role.settings, ConnectorContext())
    broken_role.aws.faults.reset()
    broken_role.aws.calls.clear()

    with pytest.raises(AuthenticationError):
        list(connector.list_accounts(NOTHING))
    assert len(broken_role.aws.calls) == 0


def test_a_passed_test_does_not_lift_a_block_that_was_found_while_it_ran(broken_role: BrokenRole) -> None:
    connector, other = connect(broken_role), connect(broken_role)
    found: list[bool] = []

    def find_it_open(_: Iterable[Check]) -> None:
        if not found:
            broken_role.trust_under(None)
            found.append(other.test_connection(ignore_progress).is_blocked)
            broken_role.restore_trust()

    assert not connector.test_connection(find_it_open).is_blocked
    assert found == [True]
    with pytest.raises(AuthenticationError, match="parties other than this integration"):
        list(connector.list_accounts(NOTHING))


def test_another_external_id_needs_its_own_proof(broken_role: BrokenRole) -> None:
    connector = connect(broken_role)
    broken_role.trust_under(None)
    connector.test_connection(ignore_progress)
    connector.configure({**broken_role.settings, "external_id": "another-external-id-0001"}, ConnectorContext())
    broken_role.aws.calls.clear()

    with pytest.raises(AuthenticationError):
        list(connector.list_accounts(NOTHING))
    assert proofs(broken_role) == 5, "nothing is known about it, so the connector proves it"


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_an_incomplete_proof_fails_temporarily(broken_role: BrokenRole, use: Use) -> None:
    broken_role.aws.faults.throttle(1, "AssumeRole", where=of_session("ploy-refuse-"))
    connector = connect(broken_role, scopes=["identity-center/users"])
    found = _result(lambda: use(connector, make_request(broken_role)))

    if isinstance(found, TemporaryError):
        assert found.changed_nothing or use not in (USES["grant"], USES["revoke"])
        assert "Unknown whether the role can be assumed" in found.message
    else:
        failures = [page.failure for page in found if page.failure is not None]
        assert {failure.code for failure in failures} == ({"temporary"} if use != USES["list_resources"] else set())
    assert not any(call.session_name for call in broken_role.aws.calls)
    broken_role.aws.faults.reset()
    assert not isinstance(_result(lambda: use(connector, make_request(broken_role))), ConnectorError)


def _result(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except TemporaryError as error:
        return error


def test_a_role_is_proven_once_for_all_that_use_it(broken_role: BrokenRole) -> None:
    connector, other = connect(broken_role), connect(broken_role)
    for hook in (connector.list_accounts, connector.list_entitlements, connector.list_resources):
        list(hook(NOTHING))
    other.grant(make_request(broken_role))
    other.revoke(make_request(broken_role))

    purposes = [
        str(call.parameters["RoleSessionName"]).split("-")[1] for call in broken_role.aws.calls if is_proof(call)
    ]
    assert sorted(purposes) == ["prove", *["refuse"] * 4]


def test_a_connection_test_is_proof_enough(broken_role: BrokenRole) -> None:
    connector = connect(broken_role)
    connector.test_connection(ignore_progress)
    broken_role.aws.calls.clear()
    list(connector.list_accounts(NOTHING))

    assert proofs(broken_role) == 0


def test_a_running_sync_stops_once_the_role_is_found_open(broken_role: BrokenRole) -> None:
    connector, other = connect(broken_role), connect(broken_role)
    pages = connector.list_accounts(NOTHING)
    read = [next(pages)]
    broken_role.trust_under(None)
    assert other.test_connection(ignore_progress).is_blocked
    broken_role.aws.calls.clear()
    with pytest.raises(AuthenticationError):
        _read_on(pages, read)

    assert role_calls(broken_role) in ([], ["ListUsers"])
    assert "iam" not in {page.scope for page in read if page.ending == "complete"}


def _read_on(pages: Any, read: list[Page]) -> None:
    read.extend(pages)


def test_a_role_that_cannot_be_assumed_at_all_reports_that(broken_role: BrokenRole) -> None:
    connector = connect(broken_role, external_id="another-external-id-0001")
    with pytest.raises(AuthenticationError, match="AWS does not state which"):
        list(connector.list_accounts(NOTHING))
    assert proofs(broken_role) == 1, "what AWS denies everyone proves nothing"
