"""What an examination calls, says and never does, over HTTP from the local AWS."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import replace

import pytest

from ploy_connector_aws.aws.connection_test import diagnose
from ploy_connector_aws.aws.permissions import ACTIONS
from ploy_connector_aws.config import SCOPE_NEEDS
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

from .conftest import EVERY_SCOPE, MANAGEMENT, BrokenRole, troubles
from .faults import away_from_the_owner, scope_writes

DELETE = "permission:identitystore:DeleteGroupMembership"
CREATE = "permission:identitystore:CreateGroupMembership"
OF_ADMINISTRATORS = [
    f"permission:{action.iam}"
    for action in ACTIONS
    if action.client == "sso-admin" and action.iam != "sso:ListInstances"
]


def check_of(patient: BrokenRole, name: str) -> Check:
    return next(check for check in patient.examine().checks if check.name == name)


def outcomes(patient: BrokenRole, *names: str) -> dict[str, str]:
    return {check.name: check.outcome for check in patient.examine().checks if check.name in names}


@pytest.fixture
def whole(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> BrokenRole:
    return BrokenRole(aws, monkeypatch, scopes=EVERY_SCOPE)


@pytest.fixture
def delegated(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> BrokenRole:
    setting = away_from_the_owner()
    organisation = replace(setting["organisation"], delegated_administrators=(setting["account_id"],))
    return BrokenRole(aws, monkeypatch, organisation=organisation, account_id=setting["account_id"])


def test_the_role_of_the_guide_passes_every_check_within_ten_seconds(whole: BrokenRole) -> None:
    whole.set_policy(*SEED_POLICY["Statement"])
    # Of this process, which the local AWS is a part of: others may be at work on the machine.
    begun = time.process_time()
    report = whole.examine()

    assert time.process_time() - begun < 10
    assert [(check.name, check.outcome) for check in report.checks] == [
        (name, "passed")
        for name in (
            *("own-credentials", "assume-role", "external-id-required", "external-id-exact", "trust-policy"),
            *("region", "find-instance", *(f"permission:{action.iam}" for action in ACTIONS)),
            *("permission:kms:Decrypt", "unneeded-permissions"),
        )
    ]
    evaluated = {check.name for check in report.checks if check.method == "evaluated"}
    assert evaluated == {"trust-policy", DELETE, "unneeded-permissions"}
    assert (report.is_usable, report.is_blocked) == (True, False)


OF_DIRECTORY = [f"permission:{action.iam}" for action in ACTIONS if action.client in ("identitystore", "sso-admin")]
LATE = {
    "ListQueues": {"region", "permission:sqs:ListQueues"},
    "ListInstances": {"region", "find-instance", *OF_DIRECTORY, "permission:kms:Decrypt"},
}
"""By the call that takes its time, the checks that cannot be told before it has ended."""


@pytest.mark.parametrize("slow", LATE)
@pytest.mark.parametrize("denied", [(), ("sqs:ListQueues", "sso:ListInstances", "s3:ListAllMyBuckets")])
def test_checks_are_told_as_they_come_in_and_stay_what_they_were(
    whole: BrokenRole, slow: str, denied: tuple[str, ...]
) -> None:
    heard: list[tuple[Check, ...]] = []
    names = {check.name for check in whole.examine().checks}
    rest_was_told = threading.Event()

    def hear(checks: Iterable[Check]) -> None:
        heard.append(tuple(checks))
        if names - {check.name for check in heard[-1]} == LATE[slow]:
            rest_was_told.set()

    whole.aws.faults.before(slow, lambda: rest_was_told.wait(PATIENCE_SECONDS))
    whole.aws.faults.deny(*denied)
    report = whole.examine(progress=hear)

    assert rest_was_told.is_set()
    assert heard[0] == report.checks[:4]
    for each in heard:
        assert each == tuple(check for check in report.checks if check in each)


def test_nothing_is_told_of_permissions_before_the_role_s_own_policies_are_read(whole: BrokenRole) -> None:
    heard: list[tuple[Check, ...]] = []
    early: list[tuple[Check, ...]] = []
    before = len(whole.aws.calls)
    both_have_listened = threading.Barrier(2)

    def wait_for_the_others() -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        others = {"ListQueues", "ListBuckets", "ListFunctions", "ListTables"}
        while others - {call.operation for call in list(whole.aws.calls)[before:]} and time.monotonic() < until:
            time.sleep(0.01)
        early.extend(heard)
        both_have_listened.wait(PATIENCE_SECONDS)

    # IAM's own probe asks for the same: which of the two is the first is not known.
    for nth in (1, 2):
        whole.aws.faults.before("GetAccountAuthorizationDetails", wait_for_the_others, nth=nth)
    report = whole.examine(progress=lambda checks: heard.append(tuple(checks)))
    assert early
    assert set(early) == {report.checks[:4]}
    for each in heard:
        assert each == tuple(check for check in report.checks if check in each)


def test_services_are_asked_at_the_same_time(whole: BrokenRole) -> None:
    all_are_there = threading.Barrier(3)
    for operation in ("ListBuckets", "ListQueues", "ListInstances"):
        whole.aws.faults.before(operation, lambda: all_are_there.wait(PATIENCE_SECONDS))

    assert troubles(whole.examine()) == {}
    assert not all_are_there.broken


def test_a_write_is_asked_for_once_for_nobody_in_nothing_and_is_never_carried_out(patient: BrokenRole) -> None:
    before = patient.seeded.memberships
    patient.examine()
    patient.examine()
    writes = [
        call for call in patient.aws.calls if not call.operation.startswith(("Get", "List", "Describe", "Assume"))
    ]

    assert [(call.operation, call.error_code) for call in writes] == [
        ("CreateGroupMembership", "ResourceNotFoundException")
    ] * 2
    people = {call.parameters["MemberId"]["UserId"] for call in writes}
    groups = {call.parameters["GroupId"] for call in writes}
    assert len(people | groups) == 4, "made up anew each time"
    assert not people & set(patient.seeded.users.values())
    assert not groups & set(patient.seeded.groups.values())
    assert patient.seeded.memberships == before


def test_what_was_tried_is_not_said_to_be_untried(patient: BrokenRole) -> None:
    scope_writes(patient)
    said = {check.name: check.message for check in patient.examine().checks if check.name in (CREATE, DELETE)}

    assert said[CREATE].count("tried") == 1
    assert "It was tried for a made-up group and user, which are none of those, and AWS denied it." in said[CREATE]
    assert "It was not tried, as that could change something." in said[DELETE]


def test_a_probe_may_do_nothing_but_what_it_asks_for(patient: BrokenRole) -> None:
    patient.examine()
    write = patient.aws.calls.to("CreateGroupMembership")[0]
    entered = next(
        call for call in patient.aws.calls.to("AssumeRole") if call.parameters["RoleSessionName"] == write.session_name
    )
    allowed, key = json.loads(entered.parameters["Policy"])["Statement"]

    assert allowed == {
        "Effect": "Allow",
        "Action": ["identitystore:CreateGroupMembership"],
        "Resource": [
            f"arn:aws:identitystore:::group/{write.parameters['GroupId']}",
            f"arn:aws:identitystore:::user/{write.parameters['MemberId']['UserId']}",
            f"arn:aws:identitystore::{patient.account_id}:identitystore/{patient.seeded.identity_store_id}",
        ],
    }
    assert key["Action"] == "kms:Decrypt"


def test_a_probe_that_aws_takes_is_told_and_not_called_a_permission(
    patient: BrokenRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take(operation: str, body: bytes) -> bytes:
        return good_reply("identitystore:CreateGroupMembership").body if operation == "CreateGroupMembership" else body

    with tampered(patient.aws.endpoint_url, take, frozenset({"CreateGroupMembership"})) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        check = check_of(patient, CREATE)

    user_id = patient.aws.calls.to("CreateGroupMembership")[-1].parameters["MemberId"]["UserId"]
    assert check.outcome == "failed"
    assert user_id in check.message
    assert check.fix is not None
    assert "remove the membership" in check.fix


def test_where_aws_looks_at_what_exists_first_the_roles_own_policies_decide(patient: BrokenRole) -> None:
    patient.take_away("identitystore:CreateGroupMembership")
    patient.aws.faults.answer(
        "CreateGroupMembership", "ResourceNotFoundException", members={"ResourceType": "USER", "ResourceId": "x"}
    )
    check = check_of(patient, CREATE)

    assert (check.outcome, check.method) == ("failed", "evaluated")


def test_a_delegated_administrator_is_told_and_has_nothing_amiss(delegated: BrokenRole) -> None:
    report = delegated.examine()
    found = next(check for check in report.checks if check.name == "find-instance")

    assert troubles(report) == {}
    assert f"management account {MANAGEMENT}, and this account is a delegated administrator of it" in found.message


def test_a_member_is_told_what_is_denied_to_it_and_not_that_its_policies_lack_it(delegated: BrokenRole) -> None:
    delegated.seeded.instance.delegated_administrators = frozenset()
    report = delegated.examine()
    denied = [check for check in report.checks if check.name in (*OF_ADMINISTRATORS, CREATE, DELETE)]

    assert troubles(report) == {"find-instance": "failed"}
    assert {check.outcome for check in denied} == {"skipped"}
    assert len({check.message for check in denied}) == 1
    assert "does not administer the organization's instance: see find-instance" in denied[0].message


def test_no_more_is_claimed_of_a_member_than_is_known(delegated: BrokenRole) -> None:
    delegated.seeded.instance.delegated_administrators = frozenset()
    delegated.take_away("iam:GetAccountAuthorizationDetails")
    report = delegated.examine()
    found = {check.name: check for check in report.checks}

    assert found["find-instance"].message.endswith(
        "Whether this account is a delegated administrator of it could not be seen."
    )
    assert {found[name].outcome for name in OF_ADMINISTRATORS} == {"failed"}
    assert all("delegated administrator" in str(found[name].fix) for name in OF_ADMINISTRATORS)


def test_an_instance_in_another_region_is_read_there_and_is_nothing_amiss(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = BrokenRole(aws, monkeypatch, region="eu-central-1")
    report = patient.examine()
    found = next(check for check in report.checks if check.name == "find-instance")

    assert troubles(report) == {}
    assert found.message == (
        "IAM Identity Center has its primary Region not in eu-central-1, the Region of the settings, but in eu-west-1, "
        f"where it is read (instance {patient.seeded.instance_arn}). It belongs to this AWS account."
    )


def test_without_the_bulk_read_of_iam_what_rests_on_it_is_not_passed_and_says_the_reason(patient: BrokenRole) -> None:
    patient.take_away("iam:GetAccountAuthorizationDetails")

    assert outcomes(patient, "trust-policy", "unneeded-permissions", DELETE, CREATE) == {
        "trust-policy": "warning",
        "unneeded-permissions": "skipped",
        DELETE: "skipped",
        CREATE: "warning",
    }
    assert "iam:GetAccountAuthorizationDetails" in check_of(patient, DELETE).message
    patient.apply(check_of(patient, CREATE))
    assert troubles(patient.examine()) == {}


def test_what_the_settings_leave_out_is_neither_asked_for_nor_missing(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = BrokenRole(aws, monkeypatch, scopes=("sqs/queues", "iam"))
    report = patient.examine()
    skipped = {check.name for check in report.checks if check.outcome == "skipped"}
    left_out = {f"permission:{each.iam}" for each in ACTIONS if each.client not in ("sqs", "iam")}

    assert troubles(report) == {}
    assert skipped == {*left_out, "find-instance", "permission:kms:Decrypt"}
    assert {call.service for call in aws.calls} == {"sts", "iam", "sqs"}


def test_one_broken_part_does_not_hide_the_others(patient: BrokenRole, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(operation: str, body: bytes) -> bytes:
        if operation != "ListInstances":
            return body
        answer = json.loads(body)
        for row in answer["Instances"]:
            row.pop("PrimaryRegion")
            row["Regions"] = [{"IsPrimaryRegion": True}]
        return json.dumps(answer).encode()

    with tampered(patient.aws.endpoint_url, spoil) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        report = patient.examine()
    found = next(check for check in report.checks if check.name == "find-instance")

    assert troubles(report) == {"find-instance": "failed"}
    assert found.message == "the connector failed unexpectedly (KeyError)"


def test_sessions_that_aws_knows_nowhere_are_not_called_a_region(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = BrokenRole(aws, monkeypatch, scopes=("iam", "sqs/queues"))
    aws.accounts.disable_regions(patient.account_id, "eu-west-1", "us-east-1")
    check = check_of(patient, "region")

    assert check.outcome == "failed"
    assert "or the role's sessions were revoked" in check.message


@pytest.mark.parametrize("scope", [scope for scope in SCOPE_NEEDS if scope.startswith("identity-center/")])
def test_with_the_smaller_policy_a_sync_of_those_scopes_is_denied_nothing(
    aws: SandboxAws, monkeypatch: pytest.MonkeyPatch, scope: str
) -> None:
    patient = BrokenRole(aws, monkeypatch, scopes=(*SCOPE_NEEDS[scope], scope))
    connector = AwsConnector()
    connector.configure(patient.settings, ConnectorContext())
    pages = [*connector.list_accounts(frozenset()), *connector.list_entitlements(frozenset())]

    assert [page.scope for page in pages if page.failure is not None] == []
    assert [call.action for call in aws.calls if call.error_code and not is_proof(call)] == []
    report = patient.examine()
    unproven = [CREATE] if "identitystore:CreateGroupMembership" in json.dumps(patient.policy) else []
    unread = dict.fromkeys(["trust-policy", *unproven], "warning")
    assert troubles(report) == unread, "nothing in that policy lets the role itself be read"
    patient.apply(next(check for check in report.checks if check.name == "trust-policy"))
    assert troubles(patient.examine()) == {}


def test_who_counts_is_told_of_what_is_called_in_the_role(whole: BrokenRole) -> None:
    counted: set[tuple[str, str]] = set()
    diagnose(whole.config, pauses=(), context=ConnectorContext("acme", lambda *call: counted.add(call)))

    assert {("sts", "AssumeRole"), ("identitystore", "ListUsers"), ("identitystore", "CreateGroupMembership")} < counted
