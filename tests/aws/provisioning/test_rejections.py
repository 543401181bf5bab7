"""Requests that are rejected: the reason, what would be needed, and that nothing changed."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.provisioning.membership import MembershipEdge
from ploy_connector_aws.aws.provisioning.sessions import (
    ATTEMPT_SECONDS,
    PAUSES_SECONDS,
    WRITE_SECONDS,
    DeadlineExceededError,
)
from ploy_connector_aws.aws.provisioning.targets import Membership, plan_change
from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.spec import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
    TemporaryError,
)
from tests.aws.conftest import DEV, EXTERNAL_ID, ORGANISATION, PROD, SCIM, SEED_POLICY, Customer, make_customer

from .conftest import EMPTY_GROUP, NOON, UNKNOWN_ID, AccessHarness
from .test_races import PEOPLE, WRITES, directions, is_in_effect

PERMISSION_SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"


@pytest.mark.parametrize(
    ("entitlement_id", "reason"),
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
def test_an_entitlement_that_cannot_be_granted_is_rejected_with_the_message_of_its_record(
    harness: AccessHarness, direction: str, entitlement_id: str, reason: str
) -> None:
    with pytest.raises(RejectedError) as refused:
        getattr(harness, direction)("ana", entitlement_id)

    assert (refused.value.reason, f"{refused.value.message} {refused.value.fix}") == ("not_grantable", reason)
    assert harness.operations() == []


@directions
def test_without_the_setting_no_group_is_changed_and_no_call_is_made(harness: AccessHarness, direction: str) -> None:
    harness.settings["change_groups"] = False

    with pytest.raises(RejectedError) as refused:
        getattr(harness, direction)("ana", "admins")

    assert (refused.value.reason, f"{refused.value.message} {refused.value.fix}") == (
        "not_grantable",
        grantability.GROUP,
    )
    assert harness.operations() == []


@pytest.mark.parametrize(
    ("reason", "needed"),
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
def test_each_reason_names_what_would_be_needed(reason: str, needed: str) -> None:
    assert needed in reason


@pytest.mark.parametrize(
    "account_id", ["111122223333/AIDA1234567890123456X", "111122223333/AROA1234567890123456X", "111122223333"]
)
def test_nothing_can_be_granted_to_users_and_roles_of_iam(harness: AccessHarness, account_id: str) -> None:
    with pytest.raises(RejectedError) as refused:
        harness.grant(account_id, "admins")

    assert (refused.value.reason, f"{refused.value.message} {refused.value.fix}") == (
        "not_grantable",
        grantability.IAM_ACCOUNT,
    )


@pytest.mark.parametrize(
    "bad",
    [
        "*",
        "../membership/*",
        f'{UNKNOWN_ID}","*',
        f"{UNKNOWN_ID}\n",
        f"{UNKNOWN_ID}*",
        f"group/{UNKNOWN_ID}",
        UNKNOWN_ID.replace("3", "٣"),
        "x",
    ],
)
def test_an_id_in_another_format_is_rejected_before_any_call(harness: AccessHarness, bad: str) -> None:
    for request in (harness.request(bad, "admins"), harness.request("ana", bad)):
        with pytest.raises(RejectedError) as refused:
            harness.provisioner.grant(request)
        assert refused.value.reason == "invalid_id"
        assert bad not in refused.value.message
    assert harness.operations() == []


@directions
def test_a_person_or_group_that_never_existed_is_not_found(harness: AccessHarness, direction: str) -> None:
    for person, group, kind in ((UNKNOWN_ID, "admins", "USER"), ("ana", UNKNOWN_ID, "GROUP")):
        with pytest.raises(NotFoundError) as gone:
            getattr(harness, direction)(person, group, preview=direction == "grant")
        assert (gone.value.kind, gone.value.id) == (kind, UNKNOWN_ID)


@pytest.mark.parametrize("preview", [False, True])
@pytest.mark.parametrize(("direction", "person"), [("grant", "bo"), ("revoke", "ana")])
def test_a_change_of_a_group_of_the_identity_provider_is_rejected(
    harness: AccessHarness, direction: str, person: str, preview: bool
) -> None:
    before = harness.seeded.memberships

    with pytest.raises(RejectedError) as refused:
        getattr(harness, direction)(person, "everyone", preview=preview)

    assert (refused.value.reason, refused.value.message, refused.value.fix) == (
        "externally_managed",
        f"The group is managed by {SCIM}, which may undo what is changed here.",
        "Change it there; or switch on 'change_externally_managed' in the settings.",
    )
    assert harness.seeded.memberships == before
    assert len(harness.aws.calls.to("AssumeRole")) == 1


@pytest.mark.parametrize(("direction", "person"), [("grant", "bo"), ("revoke", "ana")])
def test_a_managed_group_is_changed_with_a_warning_if_the_settings_allow_it(
    harness: AccessHarness, direction: str, person: str
) -> None:
    harness.settings["change_externally_managed"] = True

    change = getattr(harness, direction)(person, "everyone")

    assert change.outcome == "applied"
    assert change.warnings[0] == (
        f"The group is managed by {SCIM}, which may undo the change at its next synchronization: change it there, too."
    )


def test_a_request_in_effect_in_a_managed_group_is_not_rejected(harness: AccessHarness) -> None:
    assert harness.grant("ana", "everyone").outcome == "already_in_effect"


@directions
def test_a_managed_group_is_detected_live_whatever_the_last_sync_found(harness: AccessHarness, direction: str) -> None:
    details = harness.seeded.instance.details[harness.seeded.groups["admins"]]
    details["ExternalIds"] = [{"Issuer": SCIM, "Id": "new"}]

    with pytest.raises(RejectedError):
        getattr(harness, direction)(PEOPLE[direction], "admins", known={"entitlement": harness.known_group("admins")})


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
def test_a_permanent_error_of_aws_changed_nothing_and_is_named(
    harness: AccessHarness, direction: str, code: str, members: dict[str, str], error: type[Exception], reason: Any
) -> None:
    harness.aws.faults.answer(WRITES[direction], code, members=members)

    with pytest.raises(error) as refused:
        getattr(harness, direction)(PEOPLE[direction], "admins")
    named = {"reason", "actions", "kind"} & vars(refused.value).keys()
    assert [getattr(refused.value, name) for name in named] == ([reason] if reason else [])
    assert not is_in_effect(harness, direction)
    assert vars(refused.value)["request_id"] is not None


@directions
def test_a_denied_write_names_the_missing_permission(harness: AccessHarness, direction: str) -> None:
    harness.aws.faults.deny(WRITES[direction])

    with pytest.raises(PermissionDeniedError) as denied:
        getattr(harness, direction)(PEOPLE[direction], "admins")
    assert denied.value.actions == (f"identitystore:{WRITES[direction]}",)
    assert len(harness.operations(WRITES[direction])) == 1


def member_harness(aws: SandboxAws, harness: AccessHarness) -> AccessHarness:
    """Return a harness for the same organisation, connected through its member account DEV."""
    role = aws.create_integration_role(
        DEV, EXTERNAL_ID, f"of-{harness.seeded.organisation.owner_account_id}", SEED_POLICY
    )
    settings = {**harness.customer.settings, "account_id": DEV, "role_arn": role}
    return AccessHarness(Customer(aws, harness.seeded, settings))


@directions
def test_a_denied_member_account_gets_the_owner_of_the_directory(
    aws: SandboxAws, harness: AccessHarness, direction: str
) -> None:
    member = member_harness(aws, harness)

    with pytest.raises(PermissionDeniedError) as denied:
        getattr(member, direction)(PEOPLE[direction], "admins")
    owner = harness.seeded.organisation.owner_account_id
    assert f"IAM Identity Center belongs to the AWS account {owner}: only that account" in denied.value.message
    assert (denied.value.fix or "").startswith(f"Connect the AWS account {owner} instead")
    assert not is_in_effect(harness, direction)
    member.provisioner.close()


@directions
def test_the_wrong_store_is_never_a_success_and_the_new_one_is_found(harness: AccessHarness, direction: str) -> None:
    harness.grant("ana", EMPTY_GROUP)
    old = harness.seeded
    harness.customer.settle(ORGANISATION)
    assert harness.seeded.identity_store_id != old.identity_store_id

    # The new store has none of the people and groups of the old one.
    with pytest.raises(NotFoundError) as gone:
        getattr(harness, direction)(old.users[PEOPLE[direction]], old.groups["admins"])
    assert gone.value.kind == "GROUP"
    # Those of the new one are found, although the old store was cached.
    assert getattr(harness, direction)(PEOPLE[direction], "admins").outcome == "applied"


@directions
def test_a_store_that_is_replaced_during_a_request_is_searched_once_and_not_found(
    harness: AccessHarness, direction: str
) -> None:
    harness.aws.faults.before("GetGroupMembershipId", harness.seeded.remove_instance)

    with pytest.raises(NotFoundError) as gone:
        getattr(harness, direction)(PEOPLE[direction], "admins")
    assert gone.value.kind == "IDENTITY_STORE"


def test_an_account_without_an_instance_is_reported(harness: AccessHarness) -> None:
    harness.seeded.remove_instance()

    with pytest.raises(NotFoundError) as gone:
        harness.grant("dee", "admins")
    assert (gone.value.kind, gone.value.message) == (
        "INSTANCE",
        "The AWS account sees no IAM Identity Center instance in any Region.",
    )


def test_an_instance_in_another_region_than_the_settings_is_written_in_its_own(harness: AccessHarness) -> None:
    harness.grant("dee", "admins")

    assert harness.customer.settings["region"] != ORGANISATION.primary_region
    assert {call.region for call in harness.aws.calls.to("CreateGroupMembership")} == {ORGANISATION.primary_region}


@directions
@pytest.mark.parametrize("operation", ["AssumeRole", "ListInstances", "ListGroups", "GetGroupMembershipId"])
def test_an_error_before_the_write_changed_nothing(harness: AccessHarness, direction: str, operation: str) -> None:
    harness.aws.faults.throttle(1, operation)

    with pytest.raises(TemporaryError) as busy:
        getattr(harness, direction)(PEOPLE[direction], "admins")
    assert (busy.value.changed_nothing, harness.operations(WRITES[direction])) == (True, [])


@directions
def test_a_denied_write_session_changed_nothing(harness: AccessHarness, direction: str) -> None:
    harness.aws.faults.before("DescribeUser" if direction == "grant" else "GetGroupMembershipId", lambda: deny(harness))

    with pytest.raises(AuthenticationError):
        getattr(harness, direction)(PEOPLE[direction], "admins")
    assert not is_in_effect(harness, direction)
    # Once the role can be assumed again, the same connector works again.
    harness.aws.faults.reset()
    assert getattr(harness, direction)(PEOPLE[direction], "admins").outcome == "applied"


def deny(harness: AccessHarness) -> None:
    harness.aws.faults.deny("AssumeRole", "sts:AssumeRole")


def test_a_write_starts_only_if_all_its_attempts_end_in_time(harness: AccessHarness) -> None:
    in_time, late = timedelta(seconds=WRITE_SECONDS), timedelta(seconds=WRITE_SECONDS - 0.001)
    with pytest.raises(TemporaryError, match="was not started") as too_late:
        harness.grant("dee", "admins", write_before=NOON + late)
    assert (too_late.value.changed_nothing, harness.operations("CreateGroupMembership")) == (True, [])

    assert harness.grant("dee", "admins", write_before=NOON + in_time).outcome == "applied"


def test_the_longest_write_is_the_sum_of_its_parts() -> None:
    assert (ATTEMPT_SECONDS, PAUSES_SECONDS, WRITE_SECONDS) == (15, (0.5, 1.5), 47)


@pytest.mark.parametrize(("afterwards", "is_known"), [(True, True), (False, False)])
def test_a_later_attempt_that_would_end_too_late_is_not_sent_and_the_read_back_decides(
    harness: AccessHarness, afterwards: bool, is_known: bool
) -> None:
    def be_slow() -> None:
        harness.clock.at += timedelta(seconds=30)

    harness.aws.faults.before("CreateGroupMembership", be_slow)
    harness.aws.faults.cut_connection(1, "CreateGroupMembership", times=1, afterwards=afterwards)
    request = harness.request("dee", "admins", write_before=NOON + timedelta(seconds=WRITE_SECONDS))

    if is_known:
        assert harness.provisioner.grant(request).outcome == "applied"
    else:
        with pytest.raises(TemporaryError, match="answer was lost") as unknown:
            harness.provisioner.grant(request)
        assert not unknown.value.changed_nothing
    assert harness.operations("CreateGroupMembership") == ["CreateGroupMembership"]


def test_the_deadline_is_checked_after_the_wait_for_the_rate_limiter(harness: AccessHarness) -> None:
    harness.grant("dee", EMPTY_GROUP)
    context = harness.provisioner._context
    request = harness.request("dee", "admins", write_before=NOON + timedelta(seconds=WRITE_SECONDS))
    edge = MembershipEdge(context, Membership(request.account_id, request.entitlement_id), request)
    plan = plan_change("grant", edge.expected, edge.read())
    edge.open("grant")
    assert edge._session is not None
    throttle = edge._session.throttle
    limiter = throttle.limiter("identitystore", ORGANISATION.primary_region, "CreateGroupMembership")
    limiter.back_off(retry_after_seconds=30)

    def wait(seconds: float) -> bool:
        harness.clock.wait(seconds)
        limiter._clock = lambda: math.inf
        return False

    throttle._wait = wait
    result = edge.write("grant", plan)
    edge.close()

    assert (type(result.error), result.changed_nothing) == (DeadlineExceededError, True)
    assert len(harness.clock.waits) == 2
    assert harness.membership_id("dee", "admins") is None


def test_groups_of_an_account_instance_give_no_access_to_accounts(aws: SandboxAws) -> None:
    organisation = replace(ORGANISATION, kind="account", assignments=(), permission_sets=(), accounts=())
    harness = AccessHarness(make_customer(aws, organisation))

    change = harness.revoke("bo", "admins")
    # An account instance differs from the organization's only in that AWS rejects such calls there.
    assert (change.outcome, change.closed_paths, change.effects_complete) == ("applied", (), False)
    assert change.sessions_end_by is None
    harness.provisioner.close()


def test_no_secret_is_in_results_and_errors(harness: AccessHarness) -> None:
    change = harness.grant("dee", "admins")
    harness.aws.faults.deny("AssumeRole", "sts:AssumeRole")
    with pytest.raises(AuthenticationError) as denied:
        harness.revoke("dee", "admins")

    text = f"{change!r}{vars(denied.value)}"
    secrets = [EXTERNAL_ID, harness.aws.caller_credentials.secret_access_key]
    assert [secret for secret in secrets if secret in text] == []
    assert PROD in text
