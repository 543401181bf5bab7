"""A member account whose management account is known from the instance of Identity Center that it sees."""

from __future__ import annotations

from dataclasses import replace

from ploy_connector_aws.sandbox.aws import IamAccount, IamRole, SandboxAws, fresh_account_id
from ploy_connector_aws.sandbox.aws.iam_account import trusting
from tests.aws.conftest import EXTERNAL_ID, ORGANISATION, SEED_POLICY, Customer, make_customer

NAME = "OrganizationAccountAccessRole"


def flags_of(member: Customer, name: str) -> set[str]:
    roles = member.read(scopes=["identity-center", "iam"]).of("entitlement", "role").values()
    return set(next(role for role in roles if role.name == name).attributes.get("trust_flags") or ())


def test_management_account_needs_no_external_id_and_another_account_does(aws: SandboxAws) -> None:
    owner = make_customer(aws)
    management, account_id = owner.settings["account_id"], fresh_account_id()
    owner.settle(replace(ORGANISATION, accounts=(type(ORGANISATION.accounts[0])(account_id, "member"),)))
    role_arn = aws.create_integration_role(account_id, EXTERNAL_ID, policy=SEED_POLICY)
    member = Customer(aws, owner.seeded, {**owner.settings, "account_id": account_id, "role_arn": role_arn})
    found = {}
    for trusted in (management, "999999999999"):
        role = IamRole(NAME, trusting(AWS=f"arn:aws:iam::{trusted}:root"))
        partner = IamRole("partner", trusting(AWS=f"arn:aws:iam::{trusted}:root"))
        aws.seed_iam(account_id, IamAccount(roles=(role, partner)))
        found[trusted] = (flags_of(member, NAME), flags_of(member, "partner"))

    assert found[management] == (set(), {"external_id_missing"})
    assert found["999999999999"] == ({"external_id_missing"}, {"external_id_missing"})
