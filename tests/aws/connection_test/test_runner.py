"""The connection test as a whole: what it calls, reports and never does, over HTTP from the local AWS."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import replace

import pytest

from ploy_connector_aws.aws.connection_test import run_connection_test
from ploy_connector_aws.aws.permissions import ACTIONS
from ploy_connector_aws.config import SCOPE_DEPENDENCIES
from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.spec import (
    Check,
    ConnectorContext,
)
from tests.aws.conftest import SEED_POLICY, is_proof
from tests.aws.raw_answers import good_reply
from tests.aws.tampering import tampered
from tests.deadlines import PATIENCE_SECONDS

from .conftest import EVERY_SCOPE, MANAGEMENT, BrokenRole, issues
from .faults import member_account, scope_writes

pytestmark = pytest.mark.usefixtures("no_garbage_collection")

DELETE = "permission:identitystore:DeleteGroupMembership"
CREATE = "permission:identitystore:CreateGroupMembership"
OF_ADMINISTRATORS = [
    f"permission:{action.iam}"
    for action in ACTIONS
    if action.client == "sso-admin" and action.iam != "sso:ListInstances"
]


def check_of(broken_role: BrokenRole, name: str) -> Check:
    return next(check for check in broken_role.run_test().checks if check.name == name)


def outcomes(broken_role: BrokenRole, *names: str) -> dict[str, str]:
    return {check.name: check.outcome for check in broken_role.run_test().checks if check.name in names}


@pytest.fixture
def full_role(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> BrokenRole:
    return BrokenRole(aws, monkeypatch, scopes=EVERY_SCOPE)


@pytest.fixture
def delegated(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> BrokenRole:
    setting = member_account()
    organisation = replace(setting["organisation"], delegated_administrators=(setting["account_id"],))
    return BrokenRole(aws, monkeypatch, organisation=organisation, account_id=setting["account_id"])


def test_the_role_of_the_guide_passes_every_check_within_ten_seconds(full_role: BrokenRole) -> None:
    full_role.set_policy(*SEED_POLICY["Statement"])
    # Of this process, which the local AWS is a part of: others may be at work on the machine.
    begun = time.process_time()
    report = full_role.run_test()

    assert time.process_time() - begun < 10
    assert [(check.name, check.outcome) for check in report.checks] == [
        (name, "passed")
        for name in (
            *("own-credentials", "assume-role", "external-id-required", "external-id-exact", "trust-policy"),
            *("region", "find-instance", *(f"permission:{action.iam}" for action in ACTIONS)),
            *("permission:kms:Decrypt", "assignment-calls", "unneeded-permissions"),
        )
    ]
    evaluated = {check.name for check in report.checks if check.method == "evaluated"}
    assert evaluated == {"trust-policy", DELETE, "assignment-calls", "unneeded-permissions"}
    assert (report.is_usable, report.is_blocked) == (True, False)


def test_missing_permission_for_names_is_a_warning_and_the_role_stays_usable(broken_role: BrokenRole) -> None:
    name = "permission:organizations:ListAccounts"
    assert name not in {check.name for check in broken_role.run_test().checks}
    broken_role.more["read_account_names"] = True
    report = broken_role.run_test()
    assert (issues(report), report.is_usable) == ({name: "warning"}, True)
    found = next(check for check in report.checks if check.name == name)
    assert found.missing_permissions == ("organizations:ListAccounts",)
    assert "AWS accounts are shown by the names in the settings, or by their numbers." in found.message
    broken_role.apply(found)
    assert issues(broken_role.run_test()) == {}
    # A member account that administers nothing is denied whatever its policies allow.
    owner = broken_role.account_id
    broken_role.aws.accounts.organizations.remove(owner)
    broken_role.aws.accounts.organizations.set(MANAGEMENT, {owner: "Member"}, ())
    assert issues(broken_role.run_test()) == {name: "warning"}


OF_DIRECTORY = [f"permission:{action.iam}" for action in ACTIONS if action.client in ("identitystore", "sso-admin")]
LATE = {
    "ListQueues": {"region", "permission:sqs:ListQueues"},
    "ListInstances": {"region", "find-instance", *OF_DIRECTORY, "permission:kms:Decrypt", "assignment-calls"},
}
"""The checks that are not final before a slow call has ended, by that call."""


@pytest.mark.parametrize("slow", LATE)
@pytest.mark.parametrize("denied", [(), ("sqs:ListQueues", "sso:ListInstances", "s3:ListAllMyBuckets")])
def test_progress_reports_only_final_checks(full_role: BrokenRole, slow: str, denied: tuple[str, ...]) -> None:
    reports: list[tuple[Check, ...]] = []
    names = {check.name for check in full_role.run_test().checks}
    rest_was_reported = threading.Event()

    def record(checks: Iterable[Check]) -> None:
        reports.append(tuple(checks))
        if names - {check.name for check in reports[-1]} == LATE[slow]:
            rest_was_reported.set()

    full_role.aws.faults.before(slow, lambda: rest_was_reported.wait(PATIENCE_SECONDS))
    full_role.aws.faults.deny(*denied)
    report = full_role.run_test(progress=record)

    assert rest_was_reported.is_set()
    assert reports[0] == report.checks[:4]
    for each in reports:
        assert each == tuple(check for check in report.checks if check in each)


def test_no_permission_is_reported_before_the_role_s_own_policies_are_read(full_role: BrokenRole) -> None:
    reports: list[tuple[Check, ...]] = []
    early: list[tuple[Check, ...]] = []
    before = len(full_role.aws.calls)
    both_have_waited = threading.Barrier(2)

    def wait_for_the_others() -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        others = {"ListQueues", "ListBuckets", "ListFunctions", "ListTables"}
        while others - {call.operation for call in list(full_role.aws.calls)[before:]} and time.monotonic() < until:
            time.sleep(0.01)
        early.extend(reports)
        both_have_waited.wait(PATIENCE_SECONDS)

    # IAM's own probe makes the same call; either of the two may be the first.
    for nth in (1, 2):
        full_role.aws.faults.before("GetAccountAuthorizationDetails", wait_for_the_others, nth=nth)
    report = full_role.run_test(progress=lambda checks: reports.append(tuple(checks)))
    assert early
    assert set(early) == {report.checks[:4]}
    for each in reports:
        assert each == tuple(check for check in report.checks if check in each)


def test_services_are_probed_in_parallel(full_role: BrokenRole) -> None:
    all_have_started = threading.Barrier(3)
    for operation in ("ListBuckets", "ListQueues", "ListInstances"):
        full_role.aws.faults.before(operation, lambda: all_have_started.wait(PATIENCE_SECONDS))

    assert issues(full_role.run_test()) == {}
    assert not all_have_started.broken


def test_the_write_probe_uses_a_made_up_user_and_group_and_changes_nothing(broken_role: BrokenRole) -> None:
    before = broken_role.seeded.memberships
    broken_role.run_test()
    broken_role.run_test()
    writes = [
        call for call in broken_role.aws.calls if not call.operation.startswith(("Get", "List", "Describe", "Assume"))
    ]

    assert [(call.operation, call.error_code) for call in writes] == [
        ("CreateGroupMembership", "ResourceNotFoundException")
    ] * 2
    people = {call.parameters["MemberId"]["UserId"] for call in writes}
    groups = {call.parameters["GroupId"] for call in writes}
    assert len(people | groups) == 4, "different ones each time"
    assert not people & set(broken_role.seeded.users.values())
    assert not groups & set(broken_role.seeded.groups.values())
    assert broken_role.seeded.memberships == before


def test_a_call_that_was_tried_is_not_reported_as_untried(broken_role: BrokenRole) -> None:
    scope_writes(broken_role)
    messages = {check.name: check.message for check in broken_role.run_test().checks if check.name in (CREATE, DELETE)}

    assert messages[CREATE].count("tried") == 1
    assert "It was tried for a made-up group and user, which are none of those, and AWS denied it." in messages[CREATE]
    assert "It was not tried, because the call could change something." in messages[DELETE]


def test_the_session_of_the_write_probe_allows_only_that_call(broken_role: BrokenRole) -> None:
    broken_role.run_test()
    write = broken_role.aws.calls.to("CreateGroupMembership")[0]
    entered = next(
        call
        for call in broken_role.aws.calls.to("AssumeRole")
        if call.parameters["RoleSessionName"] == write.session_name
    )
    allowed, key = json.loads(entered.parameters["Policy"])["Statement"]

    assert allowed == {
        "Effect": "Allow",
        "Action": ["identitystore:CreateGroupMembership"],
        "Resource": [
            f"arn:aws:identitystore:::group/{write.parameters['GroupId']}",
            f"arn:aws:identitystore:::user/{write.parameters['MemberId']['UserId']}",
            f"arn:aws:identitystore::{broken_role.account_id}:identitystore/{broken_role.seeded.identity_store_id}",
        ],
    }
    assert key["Action"] == "kms:Decrypt"


def test_a_write_probe_that_aws_accepts_fails_and_is_reported(
    broken_role: BrokenRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    def accept(operation: str, body: bytes) -> bytes:
        return good_reply("identitystore:CreateGroupMembership").body if operation == "CreateGroupMembership" else body

    with tampered(broken_role.aws.endpoint_url, accept, frozenset({"CreateGroupMembership"})) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        check = check_of(broken_role, CREATE)

    user_id = broken_role.aws.calls.to("CreateGroupMembership")[-1].parameters["MemberId"]["UserId"]
    assert check.outcome == "failed"
    assert user_id in check.message
    assert check.fix is not None
    assert "remove the membership" in check.fix


def test_the_roles_own_policies_decide_if_aws_checks_existence_first(broken_role: BrokenRole) -> None:
    broken_role.remove_actions("identitystore:CreateGroupMembership")
    broken_role.aws.faults.answer(
        "CreateGroupMembership", "ResourceNotFoundException", members={"ResourceType": "USER", "ResourceId": "x"}
    )
    check = check_of(broken_role, CREATE)

    assert (check.outcome, check.method) == ("failed", "evaluated")


def test_a_delegated_administrator_passes(delegated: BrokenRole) -> None:
    report = delegated.run_test()
    found = next(check for check in report.checks if check.name == "find-instance")

    assert issues(report) == {}
    assert f"management account {MANAGEMENT}, and this account is a delegated administrator of it" in found.message


def test_what_aws_denies_a_member_is_skipped_and_not_reported_as_missing(delegated: BrokenRole) -> None:
    delegated.seeded.instance.delegated_administrators = frozenset()
    report = delegated.run_test()
    denied = [check for check in report.checks if check.name in (*OF_ADMINISTRATORS, CREATE, DELETE)]

    assert issues(report) == {"find-instance": "failed"}
    assert {check.outcome for check in denied} == {"skipped"}
    assert len({check.message for check in denied}) == 1
    assert "does not administer the organization's instance: see find-instance" in denied[0].message


def test_without_the_role_s_policies_a_member_is_not_recognized(delegated: BrokenRole) -> None:
    delegated.seeded.instance.delegated_administrators = frozenset()
    delegated.remove_actions("iam:GetAccountAuthorizationDetails")
    report = delegated.run_test()
    found = {check.name: check for check in report.checks}

    assert found["find-instance"].message.endswith(
        "The probes did not show whether this account is a delegated administrator of it."
    )
    assert {found[name].outcome for name in OF_ADMINISTRATORS} == {"failed"}
    assert all("delegated administrator" in str(found[name].fix) for name in OF_ADMINISTRATORS)


def test_an_instance_in_another_region_is_read_there_and_passes(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_role = BrokenRole(aws, monkeypatch, region="eu-central-1")
    report = broken_role.run_test()
    found = next(check for check in report.checks if check.name == "find-instance")

    assert issues(report) == {}
    assert found.message == (
        "IAM Identity Center has its primary Region not in eu-central-1, the Region of the settings, but in eu-west-1; "
        f"the connector reads it there (instance {broken_role.seeded.instance_arn}). It belongs to this AWS account."
    )


def test_without_the_bulk_read_of_iam_checks_that_need_it_do_not_pass_and_give_the_reason(
    broken_role: BrokenRole,
) -> None:
    broken_role.remove_actions("iam:GetAccountAuthorizationDetails")

    assert outcomes(broken_role, "trust-policy", "unneeded-permissions", DELETE, CREATE) == {
        "trust-policy": "warning",
        "unneeded-permissions": "skipped",
        DELETE: "skipped",
        CREATE: "warning",
    }
    assert "iam:GetAccountAuthorizationDetails" in check_of(broken_role, DELETE).message
    broken_role.apply(check_of(broken_role, CREATE))
    assert issues(broken_role.run_test()) == {}


def test_what_the_settings_leave_out_is_neither_probed_nor_missing(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_role = BrokenRole(aws, monkeypatch, scopes=("sqs/queues", "iam"))
    report = broken_role.run_test()
    skipped = {check.name for check in report.checks if check.outcome == "skipped"}
    left_out = {f"permission:{each.iam}" for each in ACTIONS if each.client not in ("sqs", "iam")}

    assert issues(report) == {}
    assert skipped == {*left_out, "find-instance", "permission:kms:Decrypt", "assignment-calls"}
    assert {call.service for call in aws.calls} == {"sts", "iam", "sqs"}


def test_a_malformed_answer_hides_no_other_check(broken_role: BrokenRole, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(operation: str, body: bytes) -> bytes:
        if operation != "ListInstances":
            return body
        answer = json.loads(body)
        for row in answer["Instances"]:
            row.pop("PrimaryRegion")
            row["Regions"] = [{"IsPrimaryRegion": True}]
        return json.dumps(answer).encode()

    with tampered(broken_role.aws.endpoint_url, spoil) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        report = broken_role.run_test()
    found = next(check for check in report.checks if check.name == "find-instance")

    assert issues(report) == {"find-instance": "failed"}
    assert found.message == "the connector failed unexpectedly (KeyError)"


def test_sessions_that_aws_knows_nowhere_do_not_count_as_a_disabled_region(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_role = BrokenRole(aws, monkeypatch, scopes=("iam", "sqs/queues"))
    aws.accounts.disable_regions(broken_role.account_id, "eu-west-1", "us-east-1")
    check = check_of(broken_role, "region")

    assert check.outcome == "failed"
    assert "or the role's sessions were revoked" in check.message


@pytest.mark.parametrize("scope", [scope for scope in SCOPE_DEPENDENCIES if scope.startswith("identity-center/")])
def test_with_the_needed_policy_a_sync_of_those_scopes_is_denied_nothing(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    broken_role = BrokenRole(aws, monkeypatch, scopes=(*SCOPE_DEPENDENCIES[scope], scope))
    connector = AwsConnector()
    connector.configure(broken_role.settings, ConnectorContext())
    pages = [*connector.list_accounts(frozenset()), *connector.list_entitlements(frozenset())]

    assert [page.scope for page in pages if page.failure is not None] == []
    # One call of each sync finds out whether assignments can be read with fewer calls.
    probes = ["sso:ListAccountsForProvisionedPermissionSet"] * (scope == "identity-center/assignments")
    assert [call.action for call in aws.calls if call.error_code and not is_proof(call)] == probes
    report = broken_role.run_test()
    unproven = [CREATE] if "identitystore:CreateGroupMembership" in json.dumps(broken_role.policy) else []
    unread = dict.fromkeys(["trust-policy", *unproven], "warning")
    assert issues(report) == unread, "nothing in that policy allows the read of the role itself"
    broken_role.apply(next(check for check in report.checks if check.name == "trust-policy"))
    assert issues(broken_role.run_test()) == {}


def test_calls_of_the_connection_test_are_counted(full_role: BrokenRole) -> None:
    counted: set[tuple[str, str]] = set()
    run_connection_test(full_role.config, pauses=(), context=ConnectorContext("acme", lambda *call: counted.add(call)))

    assert {("sts", "AssumeRole"), ("identitystore", "ListUsers"), ("identitystore", "CreateGroupMembership")} < counted
