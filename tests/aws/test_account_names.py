"""The names of AWS accounts: read where that is allowed, else from the settings, else the number; never lost again."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from ploy_connector_aws.aws.permissions import ACCOUNT_NAMES, OPTIONAL, render_read_session_policy
from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.spec import Page
from tests.aws.conftest import DEV, ORGANISATION, PROD, SEED_POLICY, Customer, make_customer, with_account_names
from tests.aws.host import Host

ACTION = "organizations:ListAccounts"
ALLOWING = {
    **SEED_POLICY,
    "Statement": [*SEED_POLICY["Statement"], {"Effect": "Allow", "Action": ACTION, "Resource": "*"}],
}


def names_of(host: Host) -> dict[str, str]:
    """The names of the AWS accounts that the last run has, by id."""
    rows = {id_: json.loads(body) for (type_, id_), body in host.records().items() if type_ == "resource"}
    return {id_: row["name"] for id_, row in rows.items() if row["kind"] == "aws_account"}


def list_by_boto3(host: Host) -> dict[str, str]:
    """What AWS itself answers, through a role that may list the accounts."""
    aws, account_id = host.customer.aws, host.customer.settings["account_id"]
    key = aws.accounts.create_user(account_id, "auditor", {**SEED_POLICY, "Statement": ALLOWING["Statement"][-1:]})
    client = boto3.client(
        "organizations",
        region_name="us-east-1",
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
    )
    pages = client.get_paginator("list_accounts").paginate()
    return {row["Id"]: row["Name"] for page in pages for row in page["Accounts"]}


def read_names(customer: Customer, **settings: Any) -> list[Page]:
    """The pages of the scope of the names."""
    wanted = {"read_account_names": True, **settings}
    pages = list(customer.connector(**wanted).list_resources(frozenset()))
    return [page for page in pages if page.scope == "aws-accounts"]


def test_names_are_those_that_aws_lists(host: Host) -> None:
    with_account_names(host).sync()
    found = names_of(host)
    assert "halden-production" in found.values()
    assert host.failures() == {}
    host.check_unchanged()
    assert found == list_by_boto3(host)


def test_renamed_account_changes_its_record_alone(host: Host) -> None:
    with_account_names(host).sync()
    before = names_of(host)
    account_id = next(iter(before))
    host.customer.aws.accounts.organizations.rename(host.customer.settings["account_id"], account_id, "Renamed")
    assert host.sync().changed == {"resource": 1}
    assert names_of(host) == {**before, account_id: "Renamed"}


@pytest.mark.parametrize("failure", ["denied", "throttled", "internal error", "no organization"])
def test_name_that_was_read_stays_while_the_list_cannot_be_read(host: Host, failure: str) -> None:
    with_account_names(host).sync()
    before = names_of(host)
    if failure == "no organization":
        host.customer.aws.accounts.organizations.remove(host.customer.settings["account_id"])
    elif failure == "denied":
        host.customer.aws.accounts.set_role_policy(host.customer.settings["role_arn"], SEED_POLICY)
    else:
        code = {"throttled": "TooManyRequestsException", "internal error": "ServiceException"}[failure]
        host.faults.answer(ACTION, code, status=500 if failure == "internal error" else 400)
    host.customer.settings["names"] = dict.fromkeys(before, "Other")
    host.check_unchanged()
    assert names_of(host) == before
    assert host.failures().keys() == {"aws-accounts"}


def test_account_gets_the_name_of_the_settings_until_one_was_read(host: Host) -> None:
    settings = host.customer.settings
    settings["read_account_names"] = True
    account_id = settings["account_id"]
    settings["names"] = {account_id: "From the settings", "999999999999": "Seen nowhere"}
    host.sync()
    found = names_of(host)
    assert found.pop(account_id) == "From the settings"
    assert found == {id_: id_ for id_ in found}
    assert "999999999999" not in found
    with_account_names(host).sync()
    assert names_of(host) == list_by_boto3(host)


def test_without_the_feature_a_name_comes_from_the_settings_and_aws_is_not_asked(host: Host) -> None:
    settings = host.customer.settings
    host.sync()
    first = names_of(host)
    assert first == {id_: id_ for id_ in first}
    some = dict.fromkeys(list(first)[:1], "Production")
    settings["names"] = some
    assert host.sync().changed == {"resource": 1}
    assert names_of(host) == {**first, **some}
    del settings["names"]
    host.sync()
    assert names_of(host) == first
    assert host.customer.aws.calls.to("ListAccounts") == []


def test_feature_that_is_switched_off_takes_its_names_along(host: Host) -> None:
    with_account_names(host).sync()
    read = names_of(host)
    host.customer.settings["read_account_names"] = False
    changes = host.sync()
    found = names_of(host)
    assert found == {id_: id_ for id_ in found}
    assert found.keys() < read.keys()
    # What the list alone had is taken out, which a person must approve.
    assert changes.withdrawn == len(read) - len(found)


def test_list_is_read_page_by_page_and_an_empty_page_is_not_its_end(aws: SandboxAws) -> None:
    customer = make_customer(aws, policy=ALLOWING)
    names = {f"{number:012}": f"Account {number}" for number in range(1, 46)}
    aws.accounts.organizations.set(customer.settings["account_id"], names, ())
    aws.faults.empty_pages("ListAccounts")
    pages = read_names(customer)
    assert {each.id: each.name for page in pages for each in page.records} == names  # type: ignore[union-attr]
    assert [page.partial for page in pages if page.partial] == []
    assert pages[-1].complete
    assert len(aws.calls.to("ListAccounts")) == 6


def test_account_without_a_name_is_partial_and_keeps_its_number(aws: SandboxAws) -> None:
    customer = make_customer(aws, policy=ALLOWING)
    aws.accounts.organizations.set(customer.settings["account_id"], {DEV: "", PROD: "Production"}, ())
    pages = read_names(customer)
    assert [each.name for page in pages for each in page.records] == ["Production"]  # type: ignore[union-attr]
    assert [each.name for page in pages for each in page.partial] == [DEV]  # type: ignore[union-attr]


@pytest.mark.parametrize("is_delegated", [True, False])
def test_member_account_lists_only_as_a_delegated_administrator(aws: SandboxAws, is_delegated: bool) -> None:
    customer = make_customer(aws, policy=ALLOWING)
    member = customer.settings["account_id"]
    aws.accounts.organizations.remove(member)
    aws.accounts.organizations.set("000000000001", {member: "Member"}, (member,) if is_delegated else ())
    last = read_names(customer)[-1]
    if is_delegated:
        assert last.complete
    else:
        assert last.failure is not None
        assert (last.failure.code, last.failure.missing_permissions) == ("permission_missing", (ACTION,))
        assert "delegated administrator" in (last.failure.fix or "")


def test_account_in_no_organization_fails_the_list_with_a_fix(aws: SandboxAws) -> None:
    customer = make_customer(aws, policy=ALLOWING)
    aws.accounts.organizations.remove(customer.settings["account_id"])
    failure = read_names(customer)[-1].failure
    assert failure is not None
    assert (failure.message, failure.code) == (
        "AWS rejected organizations:ListAccounts: the AWS account belongs to no organization.",
        "refused",
    )


def test_session_policy_with_every_optional_read_fits() -> None:
    policy = render_read_session_policy()
    assert len(policy) < 2048
    assert {each.iam for each in OPTIONAL if each.access == "read"} - {
        action for statement in json.loads(policy)["Statement"] for action in statement["Action"]
    } == {
        "sso:DescribeAccountAssignmentCreationStatus",
        "sso:DescribeAccountAssignmentDeletionStatus",
    }
    assert [each.iam for each in ACCOUNT_NAMES] == [ACTION]
    assert ORGANISATION.kind == "organization"
