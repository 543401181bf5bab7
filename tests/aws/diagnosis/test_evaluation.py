"""What the role's own policies say of an action, from their text alone."""

from __future__ import annotations

from typing import Any

import pytest

from ploy_connector_aws.aws.diagnosis.evaluation import Evaluation, HeldPolicy, OwnRole, evaluate
from ploy_connector_aws.aws.diagnosis.writes import DELETE, RESOURCES
from ploy_connector_aws.aws.iam.policies import to_policy

READ = "identitystore:ListGroups"
GROUP = "arn:aws:identitystore:::group/*"
ANYTHING = "arn:*:identitystore:::*"


def allow(*actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **more}


def deny(*actions: str, **more: Any) -> dict[str, Any]:
    return {**allow(*actions, **more), "Effect": "Deny"}


def role(*statements: Any, boundary: list[Any] | None = None) -> OwnRole:
    return OwnRole(
        {},
        (HeldPolicy("own", to_policy({"Version": "2012-10-17", "Statement": list(statements)})),),
        None if boundary is None else HeldPolicy("bounds", to_policy({"Version": "2012-10-17", "Statement": boundary})),
    )


CONDITION = {"Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (role(allow(READ)), Evaluation("allowed")),
        (role(allow("IdentityStore:list*")), Evaluation("allowed")),
        (role({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}), Evaluation("allowed")),
        (role(allow(READ, resource=GROUP), allow("*")), Evaluation("allowed")),
        (role(), Evaluation("not_allowed")),
        (role(allow("identitystore:ListUsers")), Evaluation("not_allowed")),
        (role({"Effect": "Allow", "NotAction": "identitystore:*", "Resource": "*"}), Evaluation("not_allowed")),
        (role(allow(READ, resource=GROUP)), Evaluation("partly")),
        (role({"Effect": "Allow", "Action": READ, "NotResource": GROUP}), Evaluation("partly")),
        (role(allow(READ, **CONDITION)), Evaluation("partly")),
        (role(allow(READ), deny(READ, resource=GROUP)), Evaluation("partly")),
        (role(allow(READ), deny(READ, **CONDITION)), Evaluation("partly")),
        (role(allow(READ), deny("identitystore:*")), Evaluation("denied", "own")),
        (role(allow(READ), boundary=[allow(READ)]), Evaluation("allowed")),
        (role(allow(READ), boundary=[allow("s3:*")]), Evaluation("not_allowed", "bounds", is_boundary=True)),
        (role(allow("s3:*"), boundary=[allow(READ)]), Evaluation("not_allowed")),
        (role(allow(READ), boundary=[allow(READ, **CONDITION)]), Evaluation("partly")),
        (role(allow(READ), boundary=[allow(READ), deny(READ)]), Evaluation("denied", "bounds", is_boundary=True)),
        (role(allow(READ), {"Effect": "Maybe"}), Evaluation("unknown")),
        (role({"Effect": "Maybe"}), Evaluation("unknown")),
        (role(deny(READ), {"Effect": "Maybe"}), Evaluation("denied", "own")),
    ],
)
def test_an_action_is_allowed_as_far_as_every_document_lets_it(held: OwnRole, said: Evaluation) -> None:
    assert evaluate(held, READ) == said


STORE = "arn:aws:identitystore::111122223333:identitystore/d-1234567890"
ONE_GROUP = "arn:aws:identitystore:::group/1234567890-3f2504e0-4f89-41d3-9a0c-0305e82c3301"


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        ("*", Evaluation("allowed")),
        ("arn:aws:identitystore:*", Evaluation("partly")),
        ([ANYTHING, "arn:*:identitystore::*:identitystore/*"], Evaluation("allowed")),
        ([ONE_GROUP, *(each.replace("group", "user") for each in RESOURCES[DELETE])], Evaluation("partly")),
        (
            [ONE_GROUP, STORE, "arn:aws:identitystore:::user/*"],
            Evaluation("not_allowed", lacking=("arn:*:identitystore:::membership/*",)),
        ),
        (
            ONE_GROUP,
            Evaluation(
                "not_allowed",
                lacking=tuple(each for each in RESOURCES[DELETE] if "group/" not in each),
            ),
        ),
    ],
)
def test_a_write_must_be_allowed_on_all_that_it_touches(resource: Any, said: Evaluation) -> None:
    assert evaluate(role(allow(DELETE, resource=resource)), DELETE, RESOURCES[DELETE]) == said
