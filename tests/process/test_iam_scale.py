"""The largest IAM that AWS's quotas allow is read in few calls and little memory."""

from __future__ import annotations

import pytest

from benchmarks.sync_memory import measure_sync
from ploy_connector_aws.sandbox.aws import (
    IamAccount,
    IamGroup,
    IamPolicy,
    IamRole,
    IamUser,
    Organisation,
    fresh_account_id,
)
from ploy_connector_aws.sandbox.aws.iam_account import OWN_ACCOUNT, allowing, trusting

USERS = ROLES = 5000
POLICIES, GROUPS = 300, 100
PAGE = 1000


def large_account() -> IamAccount:
    """Users in two groups each; roles with an attached and an inline policy that trust each other and a stranger."""
    inline = allowing("s3:GetObject", "s3:PutObject", resource=tuple(f"arn:aws:s3:::bucket-{n}/*" for n in range(25)))
    return IamAccount(
        policies=tuple(IamPolicy(f"policy-{n}", allowing("s3:GetObject", resource=f"{n}")) for n in range(POLICIES)),
        groups=tuple(IamGroup(f"group-{n}", managed_policies=(f"policy-{n}",)) for n in range(GROUPS)),
        users=tuple(
            IamUser(f"user-{n}", groups=(f"group-{n % GROUPS}", f"group-{(n + 1) % GROUPS}"), tags={"team": f"{n % 9}"})
            for n in range(USERS)
        ),
        roles=tuple(
            IamRole(
                f"role-{n}",
                trusting(
                    AWS=(
                        f"arn:aws:iam::{OWN_ACCOUNT}:role/role-{(n + 1) % ROLES}",
                        f"arn:aws:iam::{300_000_000_000 + n}:root",
                    )
                ),
                description="A role among many",
                managed_policies=(f"policy-{n % POLICIES}",),
                inline_policies={"own": inline},
            )
            for n in range(ROLES)
        ),
    )


@pytest.mark.soak
def test_five_thousand_users_and_roles_take_their_pages_and_three_calls_and_less_than_250_megabytes() -> None:
    measured = measure_sync(Organisation(fresh_account_id(), iam=large_account()))

    # The integration's own role is one more. Policies and everybody are two walks, and two lists are joined.
    holders = USERS + GROUPS + ROLES + 1
    pages = sum(-(-things // PAGE) for things in (POLICIES, holders, USERS, ROLES + 1))
    assert measured.records > USERS * 3 + ROLES * 9
    assert measured.calls_by_service["iam"] <= pages + 3
    assert measured.peak_megabytes < 250, measured
