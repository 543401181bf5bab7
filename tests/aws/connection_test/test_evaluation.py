"""Evaluation of the role's own policies, from their documents alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test.evaluation import evaluate, has_resources, resources_of
from ploy_connector_aws.aws.connection_test.evidence import CREATE, DELETE, OwnRole, RolePolicy
from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.aws.permissions import ACTIONS, DIRECT_ASSIGNMENTS, Action
from ploy_connector_aws.aws.policy.documents import to_policy
from ploy_connector_aws.config import AwsConfig
from tests.test_config import SETTINGS

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
        (RolePolicy("own", to_policy({"Version": "2012-10-17", "Statement": list(statements)})),),
        None if boundary is None else RolePolicy("bounds", to_policy({"Version": "2012-10-17", "Statement": boundary})),
    )


CONDITION = {"Condition": {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}}


def evaluated(held: OwnRole, action: str = READ, *resources: str, **more: Any) -> tuple[Any, ...]:
    """Return how far an action is allowed, by which policies it is denied, and on which resources it is missing."""
    found = evaluate(held, action, resources or ("*",), **more)
    denied_by = [(each.policy.name, each.is_boundary) for each in found.denials]
    return (found.effect, denied_by, found.lacks_allow, found.boundary_lacks_allow, found.missing_resources)


def allowed(
    effect: str = "allowed", *, short: bool = False, bound: bool = False, by: Any = (), missing: Any = ()
) -> Any:
    """Build the expected result."""
    return (effect, [(name, name == "bounds") for name in by], short, bound, tuple(missing))


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (role(allow(READ)), allowed()),
        (role(allow("IdentityStore:list*")), allowed()),
        (role({"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}), allowed()),
        (role(allow(READ, resource=GROUP), allow("*")), allowed()),
        (role(), allowed("not_allowed", short=True)),
        (role(allow("identitystore:ListUsers")), allowed("not_allowed", short=True)),
        (
            role({"Effect": "Allow", "NotAction": "identitystore:*", "Resource": "*"}),
            allowed("not_allowed", short=True),
        ),
        (role(allow(READ, resource=GROUP)), allowed("partly", short=True)),
        (role({"Effect": "Allow", "Action": READ, "NotResource": GROUP}), allowed("partly", short=True)),
        (role(allow(READ, **CONDITION)), allowed("partly", short=True)),
        (role(allow(READ), deny(READ, resource=GROUP)), allowed("partly", by=["own"])),
        (role(allow(READ), deny(READ, **CONDITION)), allowed("partly", by=["own"])),
        (role(allow(READ, **CONDITION), deny(READ, **CONDITION)), allowed("partly", short=True, by=["own"])),
        (role(allow(READ), deny("identitystore:*")), allowed("denied", by=["own"])),
        (role(deny("identitystore:*")), allowed("denied", short=True, by=["own"])),
        (role(allow(READ), deny("*"), deny(READ), deny(READ, **CONDITION)), allowed("denied", by=["own", "own"])),
        (role(allow(READ), {"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}), allowed("denied", by=["own"])),
        (role(allow(READ), {"Effect": "Deny", "NotAction": READ, "Resource": "*"}), allowed()),
        (role(allow(READ), boundary=[allow(READ)]), allowed()),
        (role(allow(READ), boundary=[allow("s3:*")]), allowed("not_allowed", bound=True)),
        (role(allow("s3:*"), boundary=[allow(READ)]), allowed("not_allowed", short=True)),
        (role(allow("s3:*"), boundary=[allow("s3:*")]), allowed("not_allowed", short=True, bound=True)),
        (role(allow(READ), boundary=[allow(READ, **CONDITION)]), allowed("partly", bound=True)),
        (role(allow(READ), boundary=[allow(READ), deny(READ)]), allowed("denied", by=["bounds"])),
        (role(allow(READ), deny(READ), boundary=[deny(READ)]), allowed("denied", bound=True, by=["own", "bounds"])),
        (role(allow(READ), {"Effect": "Maybe"}), allowed("unknown")),
        (role({"Effect": "Maybe"}), allowed("unknown")),
        (role(deny(READ), {"Effect": "Maybe"}), allowed("denied", by=["own"])),
    ],
)
def test_an_action_is_allowed_as_far_as_every_document_allows_it(held: OwnRole, expected: Any) -> None:
    assert evaluated(held) == expected


TAGGED = {"Condition": {"StringEquals": {"aws:ResourceTag/team": "blue"}}}
UNTIL = {"Condition": {"DateLessThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}}


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (role(allow(READ, **CONDITION)), allowed()),
        (role(allow(READ), deny(READ, **CONDITION)), allowed()),
        (role(allow(READ, **CONDITION), allow(READ, **CONDITION), boundary=[allow("*", **CONDITION)]), allowed()),
        (role(allow(READ, **TAGGED)), allowed("partly", short=True)),
        (role(allow(READ, **UNTIL)), allowed("partly", short=True)),
        (role(allow(READ), deny(READ, **TAGGED)), allowed("partly", by=["own"])),
        (role(allow(READ, resource=GROUP, **CONDITION)), allowed("partly", short=True)),
        # Either may have let the call through.
        (role(allow(READ, resource=GROUP), allow(READ, **CONDITION)), allowed("partly", short=True)),
        (role(allow(READ), deny(READ, resource=GROUP, **CONDITION)), allowed("partly", by=["own"])),
        (role(allow(READ), deny(READ)), allowed("denied", by=["own"])),
        (role(), allowed("not_allowed", short=True)),
    ],
)
def test_after_an_answer_session_wide_conditions_are_known(held: OwnRole, expected: Any) -> None:
    assert evaluated(held, was_answered=True) == expected


INSTANCE = Instance("arn:aws:sso:::instance/ssoins-0123456789abcdef", "d-1234567890", "111122223333", "eu-west-1")
CONFIG = AwsConfig.from_settings(SETTINGS)
RESOURCES = resources_of(DELETE, CONFIG, INSTANCE)
KINDS = ("group", "user", "membership")
STORE = "arn:aws:identitystore::111122223333:identitystore/d-1234567890"
ONE_GROUP = "arn:aws:identitystore:::group/1234567890-3f2504e0-4f89-41d3-9a0c-0305e82c3301"


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("*", allowed()),
        ("arn:aws:identitystore:*", allowed()),
        ([ANYTHING, "arn:*:identitystore::*:identitystore/*"], allowed()),
        # As a customer writes it who means this store and nothing else.
        ([*(f"arn:aws:identitystore:::{kind}/*" for kind in KINDS), STORE], allowed()),
        ([ONE_GROUP, *(each for each in RESOURCES if "group" not in each)], allowed("partly", short=True)),
        (
            [ONE_GROUP, STORE, "arn:aws:identitystore:::user/*"],
            allowed("not_allowed", short=True, missing=["arn:aws:identitystore:::membership/*"]),
        ),
        (
            ["arn:aws:identitystore:::*", STORE.replace("d-1234567890", "d-0000000000")],
            allowed("not_allowed", short=True, missing=[STORE]),
        ),
        (ONE_GROUP, allowed("not_allowed", short=True, missing=[each for each in RESOURCES if "group" not in each])),
    ],
)
def test_a_write_must_be_allowed_on_all_its_resources(resource: Any, expected: Any) -> None:
    assert evaluated(role(allow(DELETE, resource=resource)), DELETE, *RESOURCES) == expected


@pytest.mark.parametrize("action", [*ACTIONS, *DIRECT_ASSIGNMENTS], ids=lambda action: str(action.iam))
def test_the_resources_of_a_call_belong_to_this_account_only(action: Action) -> None:
    resources = resources_of(action.iam, CONFIG, INSTANCE)
    other = replace(INSTANCE, arn=f"{INSTANCE.arn[:-1]}0", identity_store_id="d-0000000000")

    assert has_resources(action.iam) == (resources != ("*",))
    assert evaluated(role(allow(action.iam)), action.iam, *resources) == allowed()
    for each in resources:
        others = [one for one in resources if one != each]
        assert evaluated(role(allow(action.iam, resource=others)), action.iam, *resources)[0] == "not_allowed"
    names_it = any("d-1234567890" in each or "ssoins-" in each for each in resources)
    assert (resources_of(action.iam, CONFIG, other) != resources) == names_it
    unknown = resources_of(action.iam, CONFIG, None)
    assert evaluated(role(allow(action.iam, resource=list(unknown))), action.iam, *resources) == allowed()


def test_direct_assignments_need_an_account_an_instance_and_its_permission_sets() -> None:
    assert resources_of("sso:CreateAccountAssignment", CONFIG, INSTANCE) == (
        "arn:aws:sso:::account/*",
        "arn:aws:sso:::instance/ssoins-0123456789abcdef",
        "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/*",
    )
    assert resources_of(CREATE, CONFIG, replace(INSTANCE, owner_account_id=None))[-1] == (
        "arn:aws:identitystore::*:identitystore/d-1234567890"
    )
