"""Finding the instance: in any Region, of any owner, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest

from ploy_connector_aws.aws.client.errors import RegionNotEnabledError
from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.identity_center.instance import Instance, choose_instance, read_instance
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.sandbox.aws import Organisation, fresh_account_id, in_regions
from ploy_connector_aws.spec import PermissionDeniedError, RejectedError, TemporaryError
from tests.aws.conftest import EXTERNAL_ID, ORGANISATION, REGION, SEED_POLICY, Customer, make_customer
from tests.aws.tampering import in_json, tampered

OWN = "111122223333"
OTHER_REGIONS = in_regions("us-east-1", "ap-south-1")
"""Neither the Region of the settings nor that of the instance."""


def row(name: str, owner: str | None = OWN, **members: Any) -> dict[str, Any]:
    return {
        "InstanceArn": f"arn:aws:sso:::instance/ssoins-{name}",
        "IdentityStoreId": f"d-{name}",
        "OwnerAccountId": owner,
        "Status": "ACTIVE",
        "PrimaryRegion": "eu-west-1",
        **members,
    }


def found(
    name: str, owner: str | None = OWN, region: str = "eu-west-1", *others: str, is_account_instance: bool = False
) -> Instance:
    return Instance(
        arn=f"arn:aws:sso:::instance/ssoins-{name}",
        identity_store_id=f"d-{name}",
        owner_account_id=owner,
        primary_region=region,
        is_account_instance=is_account_instance,
        not_chosen=tuple(f"arn:aws:sso:::instance/ssoins-{other}" for other in others),
    )


@pytest.fixture
def session(customer: Customer) -> Iterator[ReadSession]:
    session = ReadSession(AwsConfig.from_settings(customer.settings))
    yield session
    session.close()


@pytest.mark.parametrize(
    ("rows", "chosen"),
    [
        ([], None),
        ([row("a")], found("a")),
        ([row("a", None)], found("a", None)),
        ([row("a"), row("b", "999999999999")], found("b", "999999999999", "eu-west-1", "a (eu-west-1)")),
        ([row("b", "999999999999"), row("a")], found("b", "999999999999", "eu-west-1", "a (eu-west-1)")),
        ([row("b", "999999999999", Status="DELETE_IN_PROGRESS"), row("a")], found("a", is_account_instance=True)),
        ([row("b", Status="CREATE_FAILED"), row("a")], found("a")),
    ],
)
def test_the_organisations_active_instance_is_chosen_before_the_accounts_own(
    rows: list[dict[str, Any]], chosen: Instance | None
) -> None:
    assert choose_instance(rows, OWN, "eu-west-1") == chosen


ORGANIZATIONS = "999999999999"
NORTH, SOUTH, WEST = ({"PrimaryRegion": f"eu-{name}-1"} for name in ("north", "south", "west"))


@pytest.mark.parametrize(
    ("rows", "region", "chosen"),
    [
        # The organization's, wherever it is and whatever its ARN.
        (
            [row("a", **WEST), row("z", ORGANIZATIONS, **NORTH)],
            "eu-west-1",
            found("z", ORGANIZATIONS, "eu-north-1", "a (eu-west-1)"),
        ),
        # None is: the one of the settings' Region, not the lowest ARN.
        ([row("a", **NORTH), row("b", **WEST)], "eu-west-1", found("b", OWN, "eu-west-1", "a (eu-north-1)")),
        ([row("b", **WEST), row("a", **NORTH)], "eu-north-1", found("a", OWN, "eu-north-1", "b (eu-west-1)")),
        (
            [row("a", None, **NORTH), row("b", None, **WEST)],
            "eu-west-1",
            found("b", None, "eu-west-1", "a (eu-north-1)"),
        ),
        # The only one, wherever it is.
        ([row("a", **NORTH)], "eu-west-1", found("a", OWN, "eu-north-1")),
        (
            [row("a", **NORTH), row("b", Status="DELETE_IN_PROGRESS", **WEST)],
            "eu-west-1",
            found("a", OWN, "eu-north-1"),
        ),
        # One instance, shown twice.
        ([row("a", **NORTH), row("a", **WEST)], "eu-west-1", found("a", OWN, "eu-west-1")),
    ],
)
def test_of_several_instances_the_one_that_is_meant_is_chosen(
    rows: list[dict[str, Any]], region: str, chosen: Instance
) -> None:
    assert choose_instance(rows, OWN, region) == chosen
    assert choose_instance(rows[::-1], OWN, region) == chosen


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ([row("a", **NORTH), row("b", **SOUTH)], ["a", "b"]),
        ([row("a", **WEST), row("b", **WEST), row("c", **NORTH)], ["a", "b"]),
        ([row("a", None, **NORTH), row("b", OWN, **SOUTH)], ["a", "b"]),
        ([row("a", ORGANIZATIONS, **NORTH), row("b", "888888888888", **SOUTH), row("c", **WEST)], ["a", "b"]),
    ],
)
def test_ambiguous_instances_are_all_named(rows: list[dict[str, Any]], named: list[str]) -> None:
    with pytest.raises(RejectedError) as refused:
        choose_instance(rows, OWN, "eu-west-1")
    assert refused.value.reason == "instance_ambiguous"
    for each in rows:
        name = each["InstanceArn"].removeprefix("arn:aws:sso:::instance/ssoins-")
        assert (f"{each['InstanceArn']} ({each['PrimaryRegion']})" in refused.value.message) == (name in named)


def test_an_instance_that_is_not_ready_is_no_answer() -> None:
    with pytest.raises(TemporaryError, match="not active"):
        choose_instance([row("a", Status="CREATE_IN_PROGRESS")], OWN, "eu-west-1")


def test_an_instance_without_its_store_is_no_answer() -> None:
    with pytest.raises(TemporaryError, match="IdentityStoreId"):
        choose_instance([row("a", IdentityStoreId=None)], OWN, "eu-west-1")


def test_one_call_finds_the_instance_in_another_region(session: ReadSession, customer: Customer) -> None:
    assert read_instance(session) == Instance(
        customer.seeded.instance_arn, customer.seeded.identity_store_id, customer.settings["account_id"], "eu-west-1"
    )
    assert len(customer.aws.calls.to("ListInstances")) == 1


def test_everything_else_is_read_in_the_primary_region(customer: Customer) -> None:
    customer.settle(replace(ORGANISATION, primary_region="ap-southeast-2"))

    assert customer.read().failures == {}
    assert {call.region for call in customer.aws.calls if call.operation not in ("AssumeRole", "ListInstances")} == {
        "ap-southeast-2"
    }


def test_no_instance_anywhere_is_an_answer_without_an_origin(customer: Customer) -> None:
    customer.seeded.remove_instance()
    snapshot = customer.read()

    assert (snapshot.endings, snapshot.origins, snapshot.records) == ({"identity-center": "complete"}, {}, {})


def test_the_origin_is_the_instance(customer: Customer) -> None:
    assert customer.read().origins == {"identity-center": customer.seeded.instance_arn}


def test_a_member_account_reads_people_of_the_organisations_instance(customer: Customer) -> None:
    member = "333344445555"
    customer.settle(replace(ORGANISATION, accounts=(type(ORGANISATION.accounts[0])(member, "member"),)))
    role_arn = customer.aws.create_integration_role(member, EXTERNAL_ID, policy=SEED_POLICY)
    snapshot = customer.read(account_id=member, role_arn=role_arn)

    assert len(snapshot.of("account")) == 4
    assert "identity-center/permission-sets" in snapshot.failures
    fix = snapshot.failures["identity-center/permission-sets"].fix
    assert fix is not None
    assert "management account" in fix


def test_where_all_regions_cannot_be_asked_at_once_each_is_asked(session: ReadSession, customer: Customer) -> None:
    customer.aws.faults.answer("ListInstances", "ValidationException", times=1)
    instance = read_instance(session)

    assert instance is not None
    assert (instance.arn, instance.primary_region) == (customer.seeded.instance_arn, "eu-west-1")
    regions = [call.region for call in customer.aws.calls.to("ListInstances")]
    assert sorted(regions[1:]) == session.regions("sso-admin")


def test_a_sweep_that_finds_nothing_anywhere_is_an_answer(session: ReadSession, customer: Customer) -> None:
    customer.seeded.remove_instance()
    customer.aws.faults.answer("ListInstances", "ValidationException", times=1)

    assert read_instance(session) is None


def test_a_region_that_is_not_enabled_is_skipped_if_another_answered(session: ReadSession, customer: Customer) -> None:
    customer.seeded.remove_instance()
    customer.aws.faults.answer("ListInstances", "ValidationException", times=1)
    customer.aws.faults.answer("ListInstances", "UnrecognizedClientException", where=OTHER_REGIONS)

    assert read_instance(session) is None


def test_a_sweep_in_which_no_region_knew_the_credentials_is_no_answer(session: ReadSession, customer: Customer) -> None:
    customer.aws.faults.answer("ListInstances", "ValidationException", times=1)
    customer.aws.faults.answer("ListInstances", "UnrecognizedClientException")

    with pytest.raises(RegionNotEnabledError):
        read_instance(session)


def test_a_region_that_could_not_be_asked_makes_none_found_no_answer(session: ReadSession, customer: Customer) -> None:
    customer.seeded.remove_instance()
    customer.aws.faults.answer("ListInstances", "ValidationException", times=1)
    customer.aws.faults.answer("ListInstances", "AccessDeniedException", where=OTHER_REGIONS)

    with pytest.raises(PermissionDeniedError):
        read_instance(session)


def test_an_own_instance_is_no_answer_while_a_region_could_not_be_asked(
    session: ReadSession, customer: Customer
) -> None:
    """The organization's may be in that Region; the account's own would take its place."""
    customer.settle(Organisation(owner_account_id="", kind="account"))
    customer.aws.faults.answer("ListInstances", "ValidationException", times=1)
    customer.aws.faults.answer("ListInstances", "AccessDeniedException", where=OTHER_REGIONS)

    with pytest.raises(PermissionDeniedError):
        read_instance(session)


@pytest.mark.parametrize("status", ["ACTIVE", "DELETE_IN_PROGRESS"])
def test_an_active_instance_of_the_organisation_is_an_answer_whatever_else_could_not_be_asked(
    customer: Customer, status: str
) -> None:
    member = fresh_account_id()
    customer.settle(
        replace(ORGANISATION, instance_status=status, accounts=(type(ORGANISATION.accounts[0])(member, "member"),))
    )
    role_arn = customer.aws.create_integration_role(member, EXTERNAL_ID, policy=SEED_POLICY)
    session = ReadSession(AwsConfig.from_settings({**customer.settings, "account_id": member, "role_arn": role_arn}))
    customer.aws.faults.answer("ListInstances", "ValidationException", times=1)
    customer.aws.faults.answer("ListInstances", "AccessDeniedException", where=OTHER_REGIONS)

    if status == "ACTIVE":
        assert read_instance(session) == Instance(
            customer.seeded.instance_arn,
            customer.seeded.identity_store_id,
            customer.settings["account_id"],
            "eu-west-1",
        )
    else:
        with pytest.raises(PermissionDeniedError):
            read_instance(session)
    session.close()


def first_lists_none(customer: Customer) -> AbstractContextManager[str]:
    """Let the first ListInstances be answered as by a server that does not know RegionScope, elsewhere."""
    answered: list[object] = []

    def forget(answer: dict[str, Any]) -> None:
        if not answered:
            answer["Instances"] = []
        answered.append(answer)

    return tampered(customer.aws.endpoint_url, in_json("ListInstances", forget))


def test_none_in_all_regions_is_believed_only_after_each_was_asked(
    session: ReadSession, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with first_lists_none(customer) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        instance = read_instance(session)

    assert instance is not None
    assert (instance.arn, instance.primary_region) == (customer.seeded.instance_arn, "eu-west-1")


def test_none_in_all_regions_stays_an_answer_where_some_regions_are_denied(
    session: ReadSession, customer: Customer
) -> None:
    customer.seeded.remove_instance()
    customer.aws.faults.answer("ListInstances", "AccessDeniedException", where=OTHER_REGIONS)

    assert read_instance(session) is None


def test_none_in_all_regions_is_no_answer_while_some_did_not_answer(session: ReadSession, customer: Customer) -> None:
    customer.seeded.remove_instance()
    customer.aws.faults.answer("ListInstances", "SomethingNew", where=OTHER_REGIONS)

    with pytest.raises(TemporaryError):
        read_instance(session)


def test_an_own_instance_against_aws_s_own_none_is_no_answer_where_some_regions_are_denied(
    session: ReadSession, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer.aws.faults.answer("ListInstances", "AccessDeniedException", where=OTHER_REGIONS)

    with first_lists_none(customer) as endpoint_url, pytest.raises(PermissionDeniedError):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        read_instance(session)


def test_of_regions_that_show_one_instance_and_not_its_primary_region_the_settings_is_taken(
    session: ReadSession, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older servers show a replica like the original (AWS.md section 3.3)."""
    row = {"InstanceArn": customer.seeded.instance_arn, "IdentityStoreId": customer.seeded.identity_store_id}

    def show_everywhere(answer: dict[str, Any]) -> None:
        answer["Instances"] = [row]

    with tampered(customer.aws.endpoint_url, in_json("ListInstances", show_everywhere)) as endpoint_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        instance = read_instance(session)

    assert session.regions("sso-admin")[0] != REGION
    assert instance == Instance(row["InstanceArn"], row["IdentityStoreId"], None, REGION)


def test_a_denied_search_fails_the_root(customer: Customer) -> None:
    customer.aws.faults.deny("sso:ListInstances")
    snapshot = customer.read()

    assert snapshot.endings == {"identity-center": "failed"}
    assert snapshot.failures["identity-center"].missing_permissions == ("sso:ListInstances",)


def test_an_instance_that_is_being_made_fails_the_root(customer: Customer) -> None:
    customer.settle(replace(ORGANISATION, instance_status="CREATE_IN_PROGRESS"))

    assert customer.read().endings == {"identity-center": "failed"}


def test_an_account_instance_beside_the_organisations_is_empty_without_asking(customer: Customer) -> None:
    customer.settle(Organisation(owner_account_id="", kind="account"))
    other = make_customer(customer.aws, replace(ORGANISATION, instance_status="DELETE_IN_PROGRESS"))
    member = type(ORGANISATION.accounts[0])(customer.settings["account_id"], "member")
    other.settle(replace(ORGANISATION, instance_status="DELETE_IN_PROGRESS", accounts=(member,)))
    snapshot = customer.read()

    assert snapshot.failures == {}
    assert snapshot.endings["identity-center/permission-sets"] == "complete"
    assert snapshot.endings["identity-center/assignments"] == "complete"
    assert customer.aws.calls.to("ListPermissionSets", "ListAccountAssignmentsForPrincipal") == []


def add_account_instances(customer: Customer, *regions: str) -> list[str]:
    """Let the account have more instances of its own, as in some doubles of AWS; gives their ARNs."""
    own = Organisation(owner_account_id=customer.settings["account_id"], kind="account")
    return [customer.aws.seed(replace(own, primary_region=region)).instance_arn for region in regions]


def test_of_several_account_instances_that_of_the_settings_region_is_read(customer: Customer) -> None:
    add_account_instances(customer, "ap-south-1", "us-east-1")
    snapshot = customer.read(region="eu-west-1")

    assert snapshot.origins == {"identity-center": customer.seeded.instance_arn}
    assert len(snapshot.of("account")) == 4


def test_account_instances_of_other_regions_only_fail_the_root_by_name(customer: Customer) -> None:
    arns = [customer.seeded.instance_arn, *add_account_instances(customer, "ap-south-1", "us-east-1")]
    snapshot = customer.read(region="eu-central-1")

    assert snapshot.endings == {"identity-center": "failed"}
    assert all(arn in snapshot.failures["identity-center"].message for arn in arns)
    assert snapshot.records == {}
