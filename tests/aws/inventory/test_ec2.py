"""EC2 instances: the terminated left out, tags from the list, and in bulk for those that came without."""

from __future__ import annotations

import pytest

from ploy_connector_aws.sandbox.aws.inventory.resources import Server
from ploy_connector_aws.spec import AuthenticationError, Resource
from tests.aws.conftest import REGION
from tests.aws.inventory.conftest import Owner

SCOPE = "ec2/instances"


def arn_of(owner: Owner, key: str) -> str:
    return owner.arn("ec2", f"instance/{owner.seeded.servers[key]}")


def test_instances_become_resources_with_state_profile_owner_and_name(owner: Owner) -> None:
    web = {"Name": "web-1", "owner": "ana"}
    owner.put(servers=(Server("web", type="m7g.large", profile="web", tags=web), Server("bare", "stopped")))
    instance_ids = owner.seeded.servers

    assert owner.read(SCOPE).of("resource", "ec2_instance") == {
        arn_of(owner, "web"): Resource(
            id=arn_of(owner, "web"),
            kind="ec2_instance",
            name="web-1",
            parent_id=owner.account_id,
            region=REGION,
            owner="ana",
            tags=web,
            attributes={
                "instance_id": instance_ids["web"],
                "instance_type": "m7g.large",
                "state": "running",
                "launched_at": "2025-04-05T12:00:00+00:00",
                "instance_profile_arn": f"arn:aws:iam::{owner.account_id}:instance-profile/web",
                "role_known": False,  # IAM is not read here
            },
        ),
        arn_of(owner, "bare"): Resource(
            id=arn_of(owner, "bare"),
            kind="ec2_instance",
            name=instance_ids["bare"],
            parent_id=owner.account_id,
            region=REGION,
            attributes={
                "instance_id": instance_ids["bare"],
                "instance_type": "t3.micro",
                "state": "stopped",
                "launched_at": "2025-04-05T12:00:00+00:00",
            },
        ),
    }


@pytest.mark.parametrize(
    ("state", "is_listed"),
    [
        ("pending", True),
        ("running", True),
        ("stopping", True),
        ("stopped", True),
        ("shutting-down", True),
        ("terminated", False),
    ],
)
def test_a_terminated_instance_that_lingers_is_left_out(owner: Owner, state: str, is_listed: bool) -> None:
    owner.put(servers=(Server("web", state, tags={"Name": "web"}),))  # type: ignore[arg-type]

    assert (arn_of(owner, "web") in owner.read(SCOPE).of("resource")) is is_listed


def test_a_page_of_terminated_instances_is_not_the_end(owner: Owner) -> None:
    owner.put(servers=tuple(Server(f"s{number}") for number in range(1100)))
    first_page = sorted(owner.seeded.servers, key=owner.seeded.servers.__getitem__)[:1000]
    for key in first_page:
        owner.seeded.terminate(key)

    assert len(owner.read(SCOPE).of("resource", "ec2_instance")) == 100


def test_optional_members_may_be_missing(owner: Owner) -> None:
    owner.put(servers=(Server("web", profile="web", tags={"Name": "web"}),))
    owner.faults.leave_out(
        "DescribeInstances", "instanceState", "instanceType", "launchTime", "iamInstanceProfile", "ownerId"
    )
    (instance,) = owner.read(SCOPE).of("resource", "ec2_instance").values()

    assert instance.id == arn_of(owner, "web")
    assert instance.attributes == {"instance_id": owner.seeded.servers["web"]}


def test_without_an_id_the_scope_fails(owner: Owner) -> None:
    owner.put(servers=(Server("web", tags={"Name": "web"}),))
    owner.faults.leave_out("DescribeInstances", "instanceId")

    assert "without its InstanceId" in owner.read(SCOPE).failures[SCOPE].message


def test_the_arn_has_the_account_that_owns_the_instance(owner: Owner) -> None:
    owner.put(servers=(Server("web"),))

    assert f":{owner.account_id}:" in arn_of(owner, "web")
    assert arn_of(owner, "web") in owner.read(SCOPE).of("resource")


def test_tags_in_the_list_are_not_asked_for_again(owner: Owner) -> None:
    owner.put(servers=(Server("web", tags={"Name": "web"}), Server("old", "terminated")))
    owner.read(SCOPE)

    assert owner.calls() == ["DescribeInstances"]


def test_tags_that_the_list_lacks_are_read_in_bulk(owner: Owner) -> None:
    owner.put(servers=tuple(Server(f"s{number}", tags={"Name": f"s{number}"}) for number in range(250)))
    calm = owner.read(SCOPE)
    owner.faults.leave_out("DescribeInstances", "tagSet")

    assert owner.read(SCOPE) == calm
    # AWS takes 200 values for a filter.
    assert owner.calls().count("DescribeTags") == 2


def test_tags_longer_than_a_page_are_read_to_the_end(owner: Owner) -> None:
    tags = {f"key-{number:02}": "x" for number in range(50)}
    owner.put(servers=tuple(Server(f"s{number}", tags=tags) for number in range(30)))
    owner.faults.leave_out("DescribeInstances", "tagSet")

    assert {len(each.tags) for each in owner.read(SCOPE).of("resource", "ec2_instance").values()} == {50}
    assert owner.calls().count("DescribeTags") == 2


def test_tags_that_may_not_be_read_make_untagged_instances_partial_and_fail_the_scope(owner: Owner) -> None:
    owner.put(servers=(Server("web", tags={"Name": "web"}), *(Server(f"s{number}") for number in range(250))))
    owner.faults.deny("ec2:DescribeTags")
    snapshot = owner.read(SCOPE)

    assert snapshot.failures[SCOPE].missing_permissions == ("ec2:DescribeTags",)
    assert set(snapshot.of("resource", "ec2_instance")) == {arn_of(owner, "web")}
    assert {record.attributes["tags_known"] for record in snapshot.partial.values()} == {False}
    assert len(snapshot.partial) == 250
    assert owner.calls().count("DescribeTags") == 1, "the next one would be denied, too"


def test_tags_that_cannot_be_read_for_now_are_tried_for_the_next_ones(owner: Owner) -> None:
    owner.put(servers=tuple(Server(f"s{number}") for number in range(250)))
    owner.faults.answer("DescribeTags", "InternalError", status=500, times=9)
    snapshot = owner.read(SCOPE)

    assert snapshot.failures[SCOPE].code == "temporary"
    assert (len(snapshot.partial), len(snapshot.of("resource", "ec2_instance"))) == (200, 50)


def test_credentials_that_fail_with_the_tags_end_the_reading(owner: Owner) -> None:
    owner.put(servers=tuple(Server(f"s{number}") for number in range(250)))
    owner.faults.answer("DescribeTags", "RequestExpired")

    with pytest.raises(AuthenticationError):
        owner.read(SCOPE)
    assert owner.calls().count("DescribeTags") == 1
