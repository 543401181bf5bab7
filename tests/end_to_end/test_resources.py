"""Resources from AWS to Ploy: deleted ones are removed, unread ones stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws.inventory.resources import Resources, Table
from tests.aws.conftest import small_demo_organisation

from .sync_harness import Site, SiteMaker


@pytest.fixture
def halden(sites: SiteMaker) -> Iterator[Site]:
    with sites(small_demo_organisation()) as made:
        yield made


def resources(site: Site) -> dict[str, str]:
    """The kinds of the resources in Ploy, by id; without AWS accounts."""
    return {
        id_: str(content["kind"])
        for (type_, id_), content in site.records_at_ploy().items()
        if type_ == "resource" and content["kind"] != "aws_account"
    }


def test_the_demo_s_resources_arrive_whole(halden: Site) -> None:
    assert halden.sync().code == Exit.OK

    assert Counter(resources(halden).values()) == {
        "s3_bucket": 4,
        "dynamodb_table": 3,
        "sqs_queue": 3,
        "lambda_function": 3,
        "rds_instance": 2,
        "neptune_instance": 1,
        "documentdb_instance": 1,
        "ec2_instance": 4,
        "ecs_cluster": 2,
    }
    assert "SMTP" not in repr(halden.records_at_ploy())


def test_a_denied_service_keeps_its_records_while_others_change(halden: Site) -> None:
    halden.sync()
    before = resources(halden)
    organisation = halden.seeded.organisation
    owner, region = organisation.owner_account_id, organisation.primary_region
    in_aws = halden.world.aws.add_resources(owner, region, Resources(tables=(Table("brand-new"),)))
    in_aws.delete_table("terraform-locks")
    in_aws.delete_database("billing")
    halden.world.aws.faults.deny("rds:DescribeDBInstances")
    synced = halden.sync()

    table = f"arn:aws:dynamodb:{region}:{owner}:table/"
    assert set(synced.unproven) == {"rds/instances"}
    assert (
        resources(halden).items()
        == {
            **{id_: kind for id_, kind in before.items() if id_ != f"{table}terraform-locks"},
            f"{table}brand-new": "dynamodb_table",
        }.items()
    )

    halden.world.aws.faults.reset()
    assert halden.sync().code == Exit.OK
    assert f"arn:aws:rds:{region}:{owner}:db:billing" not in resources(halden)


def test_an_account_without_resources_has_none(site: Site) -> None:
    assert site.sync().code == Exit.OK
    assert resources(site) == {}
