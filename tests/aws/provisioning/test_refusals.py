"""What is not done, and what is said then: the reason, what would be needed, and that nothing was changed."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.provisioning.membership import MembershipEdge
from ploy_connector_aws.aws.provisioning.plan import plan_change
from ploy_connector_aws.aws.provisioning.targets import Membership
from ploy_connector_aws.aws.provisioning.writes import (
    ATTEMPT_SECONDS,
    PAUSES_SECONDS,
    WRITE_SECONDS,
    DeadlineExceededError,
)
from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.spec import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
    TemporaryError,
)
from tests.aws.conftest import DEV, EXTERNAL_ID, ORGANISATION, PROD, SCIM, SEED_POLICY, Customer, make_customer

from .conftest import NOBODY, NOON, AccessHarness
from .test_races import PEOPLE, WRITES, directions, is_in_effect

PERMISSION_SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"


@pytest.mark.parametrize(
    ("entitlement_id", "why"),
    [
        ("111122223333/AGPA1234567890123456X", grantability.IAM_GROUP),
        ("111122223333/AROA1234567890123456X", grantability.IAM_ROLE),
        ("111122223333/ANPA1234567890123456X", grantability.IAM_POLICY),
        ("arn:aws:iam::aws:policy/AdministratorAccess", grantability.IAM_POLICY),
        ("111122223333/AROA1234567890123456X/inline/my policy", grantability.IAM_INLINE_POLICY),
        (PERMISSION_SET, grantability.PERMISSION_SET),
        (f"111122223333/{PERMISSION_SET}", grantability.ACCOUNT_ROLE),
    ],
)
@directions
def test_what_cannot_be_granted_is_refused_in_the_words_of_its_record(
    desk: AccessHarness, direction: str, entitlement_id: str, why: str
) -> None:
    with pytest.raises(RejectedError) as refused:
        getattr(desk, direction)("ana", entitlement_id)

    assert (refused.value.reason, f"{refused.value.message} {refused.value.fix}") == ("not_grantable", why)
    assert desk.called() == []


@directions
def test_where_granting_was_left_out_no_group_is_changed_and_aws_is_not_asked(
    desk: AccessHarness, direction: str
) -> None:
    desk.settings["change_groups"] = False

    with pytest.raises(RejectedError) as refused:
        getattr(desk, direction)("ana", "admins")

    assert (refused.value.reason, f"{refused.value.message} {refused.value.fix}") == (
        "not_grantable",
        grantability.GROUP,
    )
    assert desk.called() == []


@pytest.mark.parametrize(
    ("why", "needed"),
    [
        (grantability.GROUP, "identitystore:CreateGroupMembership"),
        (grantability.IAM_GROUP, "iam:AddUserToGroup"),
        (grantability.IAM_ROLE, "iam:UpdateAssumeRolePolicy"),
        (grantability.IAM_POLICY, "iam:AttachUserPolicy"),
        (grantability.IAM_INLINE_POLICY, "iam:PutUserPolicy"),
        (grantability.ACCOUNT_ROLE, "sso:CreateAccountAssignment"),
        (grantability.PERMISSION_SET, "in one AWS account at a time"),
    ],
)
def test_each_reason_says_what_would_be_needed(why: str, needed: str) -> None:
    assert needed in why


@pytest.mark.parametrize(
    "account_id", ["111122223333/AIDA1234567890123456X", "111122223333/AROA1234567890123456X", "111122223333"]
)
def test_nothing_can_be_granted_to_users_and_roles_of_iam(desk: AccessHarness, account_id: str) -> None:
    with pytest.raises(RejectedError) as refused:
        desk.grant(account_id, "admins")

    assert (refused.value.reason, f"{refused.value.message} {refused.value.fix}") == (
        "not_grantable",
        grantability.IAM_ACCOUNT,
    )


@pytest.mark.parametrize(
    "bad",
    [
        "*",
        "../membership/*",
        f'{NOBODY}","*',
        f"{NOBODY}\n",
        f"{NOBODY}*",
        f"group/{NOBODY}",
        NOBODY.replace("3", "٣"),
        "x",
    ],
)
def test_an_id_that_does_not_look_like_aws_s_goes_into_no_policy_and_no_call(desk: AccessHarness, bad: str) -> None:
    for order in (desk.order(bad, "admins"), desk.order("ana", bad)):
        with pytest.raises(RejectedError) as refused:
            desk.changer.grant(order)
        assert refused.value.reason == "invalid_id"
        assert bad not in refused.value.message
    assert desk.called() == []


@directions
def test_a_person_or_group_that_never_was_is_not_found(desk: AccessHarness, direction: str) -> None:
    for person, group, kind in ((NOBODY, "admins", "USER"), ("ana", NOBODY, "GROUP")):
        with pytest.raises(NotFoundError) as gone:
            getattr(desk, direction)(person, group, preview=direction == "grant")
        assert (gone.value.kind, gone.value.id) == (kind, NOBODY)


@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize(("direction", "person"), [("grant", "bo"), ("revoke", "ana")])
def test_a_group_of_the_identity_provider_is_left_to_it(
    desk: AccessHarness, direction: str, person: str, preview: bool
) -> None:
    before = desk.seeded.memberships

    with pytest.raises(RejectedError) as refused:
        getattr(desk, direction)(person, "everyone", preview=preview)

    assert (refused.value.reason, refused.value.message, refused.value.fix) == (
        "externally_managed",
        f"The group is managed by {SCIM}, which may undo what is changed here.",
        "Change it there; or switch on 'change_externally_managed' in the settings.",
    )
    assert desk.seeded.memberships == before
    assert len(desk.aws.calls.to("AssumeRole")) == 1


@pytest.mark.parametrize(("direction", "person"), [("grant", "bo"), ("revoke", "ana")])
def test_where_the_settings_allow_it_the_change_is_made_and_carries_the_warning(
    desk: AccessHarness, direction: str, person: str
) -> None:
    desk.settings["change_externally_managed"] = True

    change = getattr(desk, direction)(person, "everyone")

    assert change.outcome == "applied"
    assert change.warnings[0] == (
        f"The group is managed by {SCIM}, which may undo the change at its next synchronization: change it there, too."
    )


def test_what_is_in_effect_in_a_managed_group_is_no_change_and_not_refused(desk: AccessHarness) -> None:
    assert desk.grant("ana", "everyone").outcome == "already_in_effect"


@directions
def test_a_group_is_known_as_managed_live_whatever_the_last_sync_knew(desk: AccessHarness, direction: str) -> None:
    details = desk.seeded.instance.details[desk.seeded.groups["admins"]]
    details["ExternalIds"] = [{"Issuer": SCIM, "Id": "new"}]

    with pytest.raises(RejectedError):
        getattr(desk, direction)(PEOPLE[direction], "admins", known_entitlement=desk.known("admins"))


@directions
@pytest.mark.parametrize(
    ("code", "members", "error", "reason"),
    [
        ("AccessDeniedException", {"Reason": "KMS_ACCESS_DENIED"}, PermissionDeniedError, ("kms:Decrypt",)),
        ("ValidationException", {"Reason": "KMS_DISABLED"}, RejectedError, "kms_key_unusable"),
        ("ResourceNotFoundException", {"Reason": "KMS_KEY_NOT_FOUND"}, RejectedError, "kms_key_unusable"),
        ("ServiceQuotaExceededException", {}, RejectedError, "quota_exceeded"),
        ("ValidationException", {}, RejectedError, "invalid_request"),
        ("ResourceNotFoundException", {"ResourceType": "IDENTITY_STORE"}, NotFoundError, "IDENTITY_STORE"),
        ("UnrecognizedClientException", {}, AuthenticationError, None),
    ],
)
def test_what_aws_refuses_for_good_changed_nothing_and_is_said_by_name(
    desk: AccessHarness, direction: str, code: str, members: dict[str, str], error: type[Exception], reason: Any
) -> None:
    desk.aws.faults.answer(WRITES[direction], code, members=members)

    with pytest.raises(error) as refused:
        getattr(desk, direction)(PEOPLE[direction], "admins")
    named = {"reason", "actions", "kind"} & vars(refused.value).keys()
    assert [getattr(refused.value, name) for name in named] == ([reason] if reason else [])
    assert not is_in_effect(desk, direction)
    assert vars(refused.value)["request_id"] is not None


@directions
def test_a_write_that_the_role_may_not_make_names_the_permission(desk: AccessHarness, direction: str) -> None:
    desk.aws.faults.deny(WRITES[direction])

    with pytest.raises(PermissionDeniedError) as denied:
        getattr(desk, direction)(PEOPLE[direction], "admins")
    assert denied.value.actions == (f"identitystore:{WRITES[direction]}",)
    assert len(desk.called(WRITES[direction])) == 1


def member_desk(aws: SandboxAws, desk: AccessHarness) -> AccessHarness:
    """The same organisation, connected by its member account DEV."""
    role = aws.create_integration_role(DEV, EXTERNAL_ID, f"of-{desk.seeded.organisation.owner_account_id}", SEED_POLICY)
    settings = {**desk.customer.settings, "account_id": DEV, "role_arn": role}
    return AccessHarness(Customer(aws, desk.seeded, settings))


@directions
def test_a_member_account_that_may_not_write_is_told_whose_directory_it_is(
    aws: SandboxAws, desk: AccessHarness, direction: str
) -> None:
    member = member_desk(aws, desk)

    with pytest.raises(PermissionDeniedError) as denied:
        getattr(member, direction)(PEOPLE[direction], "admins")
    owner = desk.seeded.organisation.owner_account_id
    assert f"IAM Identity Center belongs to the AWS account {owner}: only that account" in denied.value.message
    assert (denied.value.fix or "").startswith(f"Connect the AWS account {owner} instead")
    assert not is_in_effect(desk, direction)
    member.changer.close()


@directions
def test_the_wrong_store_is_never_a_success_and_the_right_one_is_found_again(
    desk: AccessHarness, direction: str
) -> None:
    desk.grant("ana", "empty")
    old = desk.seeded
    desk.customer.settle(ORGANISATION)
    assert desk.seeded.identity_store_id != old.identity_store_id

    # The people and groups of the old store are none of the new one.
    with pytest.raises(NotFoundError) as gone:
        getattr(desk, direction)(old.users[PEOPLE[direction]], old.groups["admins"])
    assert gone.value.kind == "GROUP"
    # Those of the new one are found, though the old store was remembered.
    assert getattr(desk, direction)(PEOPLE[direction], "admins").outcome == "applied"


@directions
def test_a_store_that_is_exchanged_under_way_is_looked_for_once_and_nothing_is_claimed(
    desk: AccessHarness, direction: str
) -> None:
    desk.aws.faults.before("GetGroupMembershipId", desk.seeded.remove_instance)

    with pytest.raises(NotFoundError) as gone:
        getattr(desk, direction)(PEOPLE[direction], "admins")
    assert gone.value.kind == "IDENTITY_STORE"


def test_an_account_without_an_instance_says_so(desk: AccessHarness) -> None:
    desk.seeded.remove_instance()

    with pytest.raises(NotFoundError) as gone:
        desk.grant("dee", "admins")
    assert (gone.value.kind, gone.value.message) == (
        "INSTANCE",
        "The AWS account sees no IAM Identity Center instance in any Region.",
    )


def test_an_instance_in_another_region_than_the_settings_is_written_in_its_own(desk: AccessHarness) -> None:
    desk.grant("dee", "admins")

    assert desk.customer.settings["region"] != ORGANISATION.primary_region
    assert {call.region for call in desk.aws.calls.to("CreateGroupMembership")} == {ORGANISATION.primary_region}


@directions
@pytest.mark.parametrize("operation", ["AssumeRole", "ListInstances", "ListGroups", "GetGroupMembershipId"])
def test_trouble_before_anything_is_ordered_changed_nothing(
    desk: AccessHarness, direction: str, operation: str
) -> None:
    desk.aws.faults.throttle(1, operation)

    with pytest.raises(TemporaryError) as busy:
        getattr(desk, direction)(PEOPLE[direction], "admins")
    assert (busy.value.changed_nothing, desk.called(WRITES[direction])) == (True, [])


@directions
def test_a_write_session_that_cannot_be_had_changed_nothing(desk: AccessHarness, direction: str) -> None:
    desk.aws.faults.before("DescribeUser" if direction == "grant" else "GetGroupMembershipId", lambda: deny(desk))

    with pytest.raises(AuthenticationError):
        getattr(desk, direction)(PEOPLE[direction], "admins")
    assert not is_in_effect(desk, direction)
    # Once the role may be assumed again, the same connector goes on.
    desk.aws.faults.reset()
    assert getattr(desk, direction)(PEOPLE[direction], "admins").outcome == "applied"


def deny(desk: AccessHarness) -> None:
    desk.aws.faults.deny("AssumeRole", "sts:AssumeRole")


def test_a_write_is_begun_only_if_it_ends_in_time_with_all_its_attempts(desk: AccessHarness) -> None:
    in_time, late = timedelta(seconds=WRITE_SECONDS), timedelta(seconds=WRITE_SECONDS - 0.001)
    with pytest.raises(TemporaryError, match="was not begun") as too_late:
        desk.grant("dee", "admins", write_before=NOON + late)
    assert (too_late.value.changed_nothing, desk.called("CreateGroupMembership")) == (True, [])

    assert desk.grant("dee", "admins", write_before=NOON + in_time).outcome == "applied"


def test_the_longest_write_is_the_sum_of_its_parts() -> None:
    assert (ATTEMPT_SECONDS, PAUSES_SECONDS, WRITE_SECONDS) == (15, (0.5, 1.5), 47)


@pytest.mark.parametrize(("afterwards", "is_known"), [(True, True), (False, False)])
def test_a_later_attempt_that_would_end_too_late_is_not_sent_and_reading_back_decides(
    desk: AccessHarness, afterwards: bool, is_known: bool
) -> None:
    def be_slow() -> None:
        desk.clock.at += timedelta(seconds=30)

    desk.aws.faults.before("CreateGroupMembership", be_slow)
    desk.aws.faults.cut_connection(1, "CreateGroupMembership", times=1, afterwards=afterwards)
    order = desk.order("dee", "admins", write_before=NOON + timedelta(seconds=WRITE_SECONDS))

    if is_known:
        assert desk.changer.grant(order).outcome == "applied"
    else:
        with pytest.raises(TemporaryError, match="answer was lost") as unknown:
            desk.changer.grant(order)
        assert not unknown.value.changed_nothing
    assert desk.called("CreateGroupMembership") == ["CreateGroupMembership"]


def test_the_time_is_looked_at_after_the_wait_for_a_turn(desk: AccessHarness) -> None:
    desk.grant("dee", "empty")
    site = desk.changer._site
    order = desk.order("dee", "admins", write_before=NOON + timedelta(seconds=WRITE_SECONDS))
    link = MembershipEdge(site, Membership(order.account_id, order.entitlement_id), order)
    plan = plan_change("grant", link.wanted, link.look())
    link.open("grant")
    assert link._session is not None
    throttle = link._session.throttle
    budget = throttle.limiter("identitystore", ORGANISATION.primary_region, "CreateGroupMembership")
    budget.back_off(retry_after_seconds=30)

    def wait(seconds: float) -> bool:
        desk.clock.wait(seconds)
        budget._clock = lambda: math.inf
        return False

    throttle._wait = wait
    ordered = link.order("grant", plan)
    link.close()

    assert (type(ordered.error), ordered.changed_nothing) == (DeadlineExceededError, True)
    assert len(desk.clock.waited) == 2
    assert desk.membership_id("dee", "admins") is None


def test_an_account_instance_has_groups_that_open_nothing(aws: SandboxAws) -> None:
    organisation = replace(ORGANISATION, kind="account", assignments=(), permission_sets=(), accounts=())
    desk = AccessHarness(make_customer(aws, organisation))

    change = desk.revoke("bo", "admins")
    # Nothing tells an account's own instance from the organization's but that AWS takes no such questions there.
    assert (change.outcome, change.closed_paths, change.effects_complete) == ("applied", (), False)
    assert change.sessions_end_by is None
    desk.changer.close()


def test_no_secret_is_in_anything_that_is_said(desk: AccessHarness) -> None:
    change = desk.grant("dee", "admins")
    desk.aws.faults.deny("AssumeRole", "sts:AssumeRole")
    with pytest.raises(AuthenticationError) as denied:
        desk.revoke("dee", "admins")

    said = f"{change!r}{vars(denied.value)}"
    secrets = [EXTERNAL_ID, desk.aws.caller_credentials.secret_access_key]
    assert [secret for secret in secrets if secret in said] == []
    assert PROD in said
