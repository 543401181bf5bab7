"""What the tests of the two strategies for assignments share."""

from __future__ import annotations

from ploy_connector_aws.aws.identity_center.assignments.plan import LastRead, Strategy, recall, remember
from ploy_connector_aws.aws.permissions import BY_PERMISSION_SET
from ploy_connector_aws.sandbox.aws import SandboxAws
from tests.aws.conftest import ORGANISATION, SEED_POLICY, Customer, make_customer

ROOT = "identity-center/assignments"
BY_SET = f"{ROOT}/permission-sets"
LIST_ACCOUNTS, LIST_PAIR = (action.operation for action in BY_PERMISSION_SET)
LIST_PRINCIPAL = "ListAccountAssignmentsForPrincipal"

WITH_OPTIONAL = {
    **SEED_POLICY,
    "Statement": [
        *SEED_POLICY["Statement"],
        {"Effect": "Allow", "Action": [action.iam for action in BY_PERMISSION_SET], "Resource": "*"},
    ],
}


def make_large_customer(aws: SandboxAws) -> Customer:
    """A customer whose role has the optional permissions; of its organisation a read by set takes fewer calls."""
    return make_customer(aws, ORGANISATION, policy=WITH_OPTIONAL)


def take_permissions(customer: Customer) -> None:
    customer.aws.accounts.set_role_policy(customer.settings["role_arn"], SEED_POLICY)


def give_permissions(customer: Customer) -> None:
    customer.aws.accounts.set_role_policy(customer.settings["role_arn"], WITH_OPTIONAL)


def keep_to(customer: Customer, strategy: Strategy) -> None:
    """Make the next read take a strategy, whatever it costs."""
    read = LastRead(
        instance_arn=customer.seeded.instance_arn, strategy=strategy, principals=1, permission_sets=1, pairs=1
    )
    remember(customer.context, read)


def last_read(customer: Customer) -> LastRead:
    found = recall(customer.context)
    assert found is not None
    return found


def set_scope(customer: Customer, name: str) -> str:
    return f"{BY_SET}/{customer.seeded.permission_sets[name].rpartition('/')[2]}"
