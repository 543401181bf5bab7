"""A role is used only while it is proven that nobody is given it without, or with another, external id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.spec import (
    AccessRequest,
    AuthenticationError,
    ConnectorContext,
    ConnectorError,
    Page,
    TemporaryError,
    ignore_progress,
)
from tests.aws.conftest import is_proof, of_session

from .conftest import BrokenRole

OPEN_BY = {"no external id is asked for": None, "any external id will do": {"StringLike": {"sts:ExternalId": "*"}}}
NOTHING: frozenset[str] = frozenset()

Use = Callable[[AwsConnector, AccessRequest], Any]

USES: dict[str, Use] = {
    "list_accounts": lambda connector, _: list(connector.list_accounts(NOTHING)),
    "list_entitlements": lambda connector, _: list(connector.list_entitlements(NOTHING)),
    "list_resources": lambda connector, _: list(connector.list_resources(NOTHING)),
    "grant": lambda connector, order: connector.grant(order),
    "revoke": lambda connector, order: connector.revoke(order),
    "preview": lambda connector, order: connector.grant(order.model_copy(update={"preview": True})),
}


def connect(patient: BrokenRole, **settings: Any) -> AwsConnector:
    connector = AwsConnector()
    connector.configure(
        {**patient.settings, "scopes": ["identity-center", "iam", "sqs/queues"], **settings}, ConnectorContext()
    )
    return connector


def order(patient: BrokenRole) -> AccessRequest:
    user_id, group_id = patient.seeded.users["ana"], patient.seeded.groups["empty"]
    return AccessRequest(request_id="r1", account_id=user_id, entitlement_id=group_id)


def used(patient: BrokenRole) -> list[str]:
    """What was called in the role, or asked for to be called in it."""
    return [call.operation for call in patient.aws.calls if not is_proof(call)]


def proofs(patient: BrokenRole) -> int:
    return sum(is_proof(call) for call in patient.aws.calls)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("condition", OPEN_BY.values(), ids=OPEN_BY)
def test_a_role_that_is_given_out_to_others_is_not_even_entered_though_nobody_tested_it(
    patient: BrokenRole, use: Use, condition: dict[str, Any] | None
) -> None:
    patient.trust_by(condition)
    with pytest.raises(AuthenticationError, match="parties other than this integration") as refused:
        use(connect(patient), order(patient))

    assert "Replace the role's trust policy by this one" in str(refused.value.fix)
    assert (used(patient), proofs(patient)) == ([], 5)
    assert not [call for call in patient.aws.calls if (call.session_name or "").startswith(("ploy-prove", "ploy-ref"))]


def test_what_the_connection_test_finds_is_used_by_nobody_until_a_test_finds_it_mended(patient: BrokenRole) -> None:
    connector, other = connect(patient), connect(patient)
    patient.trust_by(None)
    assert connector.test_connection(ignore_progress).is_blocked
    patient.aws.calls.clear()

    for use in USES.values():
        for each in (connector, other):
            with pytest.raises(AuthenticationError):
                use(each, order(patient))
    assert len(patient.aws.calls) == 0
    patient.right_trust()
    assert not connector.test_connection(ignore_progress).is_blocked
    assert any(page.records for page in connector.list_accounts(NOTHING))
    assert other.grant(order(patient)).outcome == "applied"


def test_a_block_outlives_a_test_that_could_not_be_made_and_the_same_settings_again(patient: BrokenRole) -> None:
    connector = connect(patient)
    patient.trust_by(None)
    connector.test_connection(ignore_progress)
    patient.right_trust()
    patient.aws.faults.throttle(1, "AssumeRole")
    assert not connector.test_connection(ignore_progress).is_blocked
    connector.configure(patient.settings, ConnectorContext())
    patient.aws.faults.reset()
    patient.aws.calls.clear()

    with pytest.raises(AuthenticationError):
        list(connector.list_accounts(NOTHING))
    assert len(patient.aws.calls) == 0


def test_another_external_id_is_another_question(patient: BrokenRole) -> None:
    connector = connect(patient)
    patient.trust_by(None)
    connector.test_connection(ignore_progress)
    connector.configure({**patient.settings, "external_id": "another-external-id-0001"}, ConnectorContext())
    patient.aws.calls.clear()

    with pytest.raises(AuthenticationError):
        list(connector.list_accounts(NOTHING))
    assert proofs(patient) == 5, "nothing was known of it, so it is asked"


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_what_could_not_be_found_out_is_no_proof_and_passes(patient: BrokenRole, use: Use) -> None:
    patient.aws.faults.throttle(1, "AssumeRole", where=of_session("ploy-refuse-"))
    connector = connect(patient, scopes=["identity-center/users"])
    found = _result(lambda: use(connector, order(patient)))

    if isinstance(found, TemporaryError):
        assert found.changed_nothing or use not in (USES["grant"], USES["revoke"])
        assert "could not be found out" in found.message
    else:
        failures = [page.failure for page in found if page.failure is not None]
        assert {failure.code for failure in failures} == ({"temporary"} if use != USES["list_resources"] else set())
    assert not any(call.session_name for call in patient.aws.calls)
    patient.aws.faults.reset()
    assert not isinstance(_result(lambda: use(connector, order(patient))), ConnectorError)


def _result(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except TemporaryError as error:
        return error


def test_a_role_is_proven_once_for_all_that_use_it(patient: BrokenRole) -> None:
    connector, other = connect(patient), connect(patient)
    for hook in (connector.list_accounts, connector.list_entitlements, connector.list_resources):
        list(hook(NOTHING))
    other.grant(order(patient))
    other.revoke(order(patient))

    asked = [str(call.parameters["RoleSessionName"]).split("-")[1] for call in patient.aws.calls if is_proof(call)]
    assert sorted(asked) == ["prove", *["refuse"] * 4]


def test_a_connection_test_is_proof_enough(patient: BrokenRole) -> None:
    connector = connect(patient)
    connector.test_connection(ignore_progress)
    patient.aws.calls.clear()
    list(connector.list_accounts(NOTHING))

    assert proofs(patient) == 0


def test_a_sync_under_way_reads_no_further_once_the_role_is_found_open(patient: BrokenRole) -> None:
    connector, other = connect(patient), connect(patient)
    pages = connector.list_accounts(NOTHING)
    read = [next(pages)]
    patient.trust_by(None)
    assert other.test_connection(ignore_progress).is_blocked
    patient.aws.calls.clear()
    with pytest.raises(AuthenticationError):
        _read_on(pages, read)

    assert used(patient) in ([], ["ListUsers"])
    assert "iam" not in {page.scope for page in read if page.ending == "complete"}


def _read_on(pages: Any, read: list[Page]) -> None:
    read.extend(pages)


def test_a_role_that_is_not_given_out_at_all_says_so_as_before(patient: BrokenRole) -> None:
    connector = connect(patient, external_id="another-external-id-0001")
    with pytest.raises(AuthenticationError, match="AWS does not state which"):
        list(connector.list_accounts(NOTHING))
    assert proofs(patient) == 1, "what is denied to everybody else proves nothing then"
