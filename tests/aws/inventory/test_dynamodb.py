"""DynamoDB tables: AWS gives names, and their ARNs are made here."""

from __future__ import annotations

from ploy_connector_aws.sandbox.aws.inventory.resources import Table
from ploy_connector_aws.spec import Resource
from tests.aws.conftest import REGION
from tests.aws.inventory.conftest import Owner


def test_a_table_becomes_a_resource_with_its_arn(owner: Owner) -> None:
    owner.put(tables=(Table("Orders.v2"),))
    arn = owner.arn("dynamodb", "table/Orders.v2")

    assert owner.read("dynamodb/tables").of("resource", "dynamodb_table") == {
        arn: Resource(
            id=arn,
            kind="dynamodb_table",
            name="Orders.v2",
            parent_id=owner.account_id,
            region=REGION,
            attributes={"tags_known": False},
        )
    }


def test_a_table_deleted_between_two_pages_does_not_end_the_list(owner: Owner) -> None:
    owner.put(tables=tuple(Table(f"table-{number:03}") for number in range(150)))
    # The token is the name of the last table of the page before.
    owner.faults.before("ListTables", lambda: owner.seeded.delete_table("table-099"), nth=2)

    assert len(owner.read("dynamodb/tables").of("resource", "dynamodb_table")) == 150
