"""Why an entitlement cannot be granted: messages of records and rejections. Changing one changes records."""

from __future__ import annotations

_NOT_IAM = "The permissions of Ploy's guide do not let the connector change IAM."

_IN_THE_ACCOUNT = "Change it in the AWS account itself."

IAM_GROUP = (
    f"{_NOT_IAM} Membership of an IAM group would need iam:AddUserToGroup and iam:RemoveUserFromGroup. "
    f"{_IN_THE_ACCOUNT}"
)

IAM_ROLE = (
    f"{_NOT_IAM} Who may assume a role is said in its trust policy, which would need iam:UpdateAssumeRolePolicy. "
    f"{_IN_THE_ACCOUNT}"
)

IAM_POLICY = (
    f"{_NOT_IAM} Attaching a policy would need iam:AttachUserPolicy, iam:AttachGroupPolicy or iam:AttachRolePolicy, "
    f"and their Detach calls. {_IN_THE_ACCOUNT}"
)

IAM_INLINE_POLICY = (
    f"{_NOT_IAM} An inline policy is a part of its user, group or role; it would need iam:PutUserPolicy, "
    f"iam:PutGroupPolicy or iam:PutRolePolicy, and their Delete calls. {_IN_THE_ACCOUNT}"
)

IAM_ACCOUNT = (
    f"{_NOT_IAM} Only people of IAM Identity Center can be given something, and no users, roles or outsiders of IAM. "
    f"{_IN_THE_ACCOUNT}"
)

GROUP = (
    "Granting and revoking is switched off for this integration. Switch on 'change_groups' in the settings, and allow "
    "the role identitystore:CreateGroupMembership, identitystore:GetGroupMembershipId and "
    "identitystore:DeleteGroupMembership."
)

PERMISSION_SET = (
    "A permission set is not held as such, but in one AWS account at a time. Grant a group that opens it in the "
    "account, or the permission set in that account."
)

ACCOUNT_ROLE = (
    "Direct assignments are switched off for this integration. Grant a group that opens it; or switch on "
    "'direct_assignments' in the settings, and allow the role sso:CreateAccountAssignment, "
    "sso:DeleteAccountAssignment, sso:DescribeAccountAssignmentCreationStatus and "
    "sso:DescribeAccountAssignmentDeletionStatus."
)


def externally_managed(manager: str) -> str:
    """Return why a group that an outside system owns is not changed here.

    Args:
        manager: The outside system, as the group's external id names it.
    """
    return (
        f"The group is managed by {manager}, which may undo what is changed here. Change it there; or switch on "
        "'change_externally_managed' in the settings."
    )
