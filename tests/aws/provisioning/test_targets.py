"""What an order is about, told by its ids: pure."""

from __future__ import annotations

import pytest

from ploy_connector_aws.aws.provisioning.targets import (
    DirectAssignment,
    Membership,
    is_account_role,
    is_group,
    to_permission_set,
    to_target,
)
from ploy_connector_aws.spec import AccessRequest, RejectedError

UUID = "3F2504e0-4f89-41d3-9a0c-0305e82c3301"
LONG = f"1234567890-{UUID}"
SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"


def order(account_id: str, entitlement_id: str) -> AccessRequest:
    return AccessRequest(request_id="r", account_id=account_id, entitlement_id=entitlement_id)


@pytest.mark.parametrize(("user", "group"), [(UUID, LONG), (LONG, UUID), (LONG, LONG)])
def test_both_shapes_of_aws_s_ids_name_a_person_and_a_group(user: str, group: str) -> None:
    assert to_target(order(user, group), change_groups=True, direct_assignments=False) == Membership(user, group)


def test_a_permission_set_in_an_account_is_an_assignment_where_the_settings_allow_it() -> None:
    wanted = order(LONG, f"111122223333/{SET}")

    assert to_target(wanted, change_groups=True, direct_assignments=True) == DirectAssignment(
        LONG, "111122223333", SET, "ssoins-0123456789abcdef"
    )
    with pytest.raises(RejectedError, match="Direct assignments are switched off"):
        to_target(wanted, change_groups=True, direct_assignments=False)


@pytest.mark.parametrize("bad", ["*", f"{SET}/*", f"111122223333/{SET}*", f"1111222233334/{SET}", f"*/{SET}"])
def test_wild_cards_name_nothing(bad: str) -> None:
    with pytest.raises(RejectedError):
        to_target(order(LONG, bad), change_groups=True, direct_assignments=True)


def test_ids_are_told_apart() -> None:
    role = f"111122223333/{SET}"

    assert [(is_group(id_), is_account_role(id_)) for id_ in (LONG, role, SET)] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    assert to_permission_set(role) == SET
