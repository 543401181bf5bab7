"""Finding the instance: in any Region, of any owner, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import pytest

from ploy_connector_aws.aws.errors import RegionNotEnabled
from ploy_connector_aws.aws.identity_center.instance import Instance, choose_instance, read_instance
from ploy_connector_aws.aws.session import ReadSession
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.sandbox.aws import Organisation, fresh_account_id, in_regions
from ploy_connector_aws.spec import PermissionMissing, TemporaryError
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


def found(name: str, owner: str | None = OWN, *, is_account_instance: bool = False) -> Instance:
    return Instance(f"arn:aws:sso:::instance/ssoins-{name}", f"d-{name}", owner, "eu-west-1", is_account_instance)


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
        ([row("a"), row("b", "999999999999")], found("b", "999999999999")),
        ([row("b", "999999999999"), row("a")], found("b", "999999999999")),
        ([row("b", "999999999999", Status="DELETE_IN_PROGRESS"), row("a")], found("a", is_account_instance=True)),
        ([row("b", Status="CREATE_FAILED"), row("a")], found("a")),
    ],
)
def test_the_organisations_active_instance_is_chosen_before_the_accounts_own(
    rows: list[dict[str, Any]], chosen: Instance | None
) -> None:
    assert choose_instance(rows, OWN) == chosen


def test_an_instance_that_is_not_ready_is_no_answer() -> None:
    with pytest.raises(TemporaryError, match="not active"):
        choose_instance([row("a", Status="CREATE_IN_PROGRESS")], OWN)


def test_an_instance_without_its_store_is_no_answer() -> None:
    with pytest.raises(TemporaryError, match="IdentityStoreId"):
        choose_instance([row("a", IdentityStoreId=None)], OWN)


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
    picture = customer.read()

    assert (picture.endings, picture.origins, picture.records) == ({"identity-center": "complete"}, {}, {})


def test_the_origin_is_the_instance(customer: Customer) -> None:
    assert customer.read().origins == {"identity-center": customer.seeded.instance_arn}


def test_a_member_account_reads_people_of_the_organisations_instance(customer: Customer) -> None:
    member = "333344445555"
    customer.settle(replace(ORGANISATION, accounts=(type(ORGANISATION.accounts[0])(member, "member"),)))
    role_arn = customer.aws.create_integration_role(member, EXTERNAL_ID, policy=SEED_POLICY)
    picture = customer.read(account_id=member, role_arn=role_arn)

    assert len(picture.of("account")) == 4
    assert "identity-center/permission-sets" in picture.failures
    fix = picture.failures["identity-center/permission-sets"].fix
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

    with pytest.raises(RegionNotEnabled):
        read_instance(session)


@pytest.mark.usefixtures("no_backoff")
def test_a_region_that_could_not_be_asked_makes_none_found_no_answer(session: ReadSession, customer: Customer) -> None:
    customer.seeded.remove_instance()
    customer.aws.faults.answer("ListInstances", "ValidationException", times=1)
    customer.aws.faults.answer("ListInstances", "AccessDeniedException", where=OTHER_REGIONS)

    with pytest.raises(PermissionMissing):
        read_instance(session)


def test_an_own_instance_is_no_answer_while_a_region_could_not_be_asked(
    session: ReadSession, customer: Customer
) -> None:
    """The organization's may be in that Region; the account's own would take its place."""
    customer.settle(Organisation(owner_account_id="", kind="account"))
    customer.aws.faults.answer("ListInstances", "ValidationException", times=1)
    customer.aws.faults.answer("ListInstances", "AccessDeniedException", where=OTHER_REGIONS)

    with pytest.raises(PermissionMissing):
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
        with pytest.raises(PermissionMissing):
            read_instance(session)
    session.close()


def first_says_none(customer: Customer) -> AbstractContextManager[str]:
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
    with first_says_none(customer) as endpoint_url:
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

    with first_says_none(customer) as endpoint_url, pytest.raises(PermissionMissing):
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
    picture = customer.read()

    assert picture.endings == {"identity-center": "failed"}
    assert picture.failures["identity-center"].missing_permissions == ("sso:ListInstances",)


def test_an_instance_that_is_being_made_fails_the_root(customer: Customer) -> None:
    customer.settle(replace(ORGANISATION, instance_status="CREATE_IN_PROGRESS"))

    assert customer.read().endings == {"identity-center": "failed"}


def test_an_account_instance_beside_the_organisations_is_empty_without_asking(customer: Customer) -> None:
    customer.settle(Organisation(owner_account_id="", kind="account"))
    other = make_customer(customer.aws, replace(ORGANISATION, instance_status="DELETE_IN_PROGRESS"))
    member = type(ORGANISATION.accounts[0])(customer.settings["account_id"], "member")
    other.settle(replace(ORGANISATION, instance_status="DELETE_IN_PROGRESS", accounts=(member,)))
    picture = customer.read()

    assert picture.failures == {}
    assert picture.endings["identity-center/permission-sets"] == "complete"
    assert picture.endings["identity-center/assignments"] == "complete"
    assert customer.aws.calls.to("ListPermissionSets", "ListAccountAssignmentsForPrincipal") == []
