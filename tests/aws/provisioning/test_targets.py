"""Targets of requests, from their ids."""

from __future__ import annotations

import pytest

from ploy_connector_aws.aws.provisioning.targets import (
    DirectAssignment,
    Membership,
    is_group,
    to_permission_set,
    to_target,
)
from ploy_connector_aws.spec import AccessRequest, RejectedError

UUID = "3F2504e0-4f89-41d3-9a0c-0305e82c3301"
LONG = f"1234567890-{UUID}"
SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"


def make_request(account_id: str, entitlement_id: str) -> AccessRequest:
    return AccessRequest(request_id="r", account_id=account_id, entitlement_id=entitlement_id)


@pytest.mark.parametrize(("user", "group"), [(UUID, LONG), (LONG, UUID), (LONG, LONG)])
def test_both_shapes_of_aws_s_ids_name_a_person_and_a_group(user: str, group: str) -> None:
    assert to_target(make_request(user, group), change_groups=True, direct_assignments=False) == Membership(user, group)


def test_a_permission_set_in_an_account_is_an_assignment_if_the_settings_allow_it() -> None:
    request = make_request(LONG, f"111122223333/{SET}")

    assert to_target(request, change_groups=True, direct_assignments=True) == DirectAssignment(
        LONG, "111122223333", SET, "ssoins-0123456789abcdef"
    )
    with pytest.raises(RejectedError, match="Direct assignments are switched off"):
        to_target(request, change_groups=True, direct_assignments=False)


@pytest.mark.parametrize("bad", ["*", f"{SET}/*", f"111122223333/{SET}*", f"1111222233334/{SET}", f"*/{SET}"])
def test_wildcards_are_rejected(bad: str) -> None:
    with pytest.raises(RejectedError):
        to_target(make_request(LONG, bad), change_groups=True, direct_assignments=True)


def test_only_ids_of_the_identity_store_are_groups() -> None:
    role = f"111122223333/{SET}"

    assert [is_group(id_) for id_ in (LONG, role, SET)] == [True, False, False]
    assert to_permission_set(role) == SET
