"""Who may assume a role, as grants of the role, over HTTP from the local AWS."""

from __future__ import annotations

import json
from typing import Any

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.policy.trust import FLAGS
from ploy_connector_aws.sandbox.aws import IamAccount, IamGroup, IamPolicy, IamRole, IamUser
from ploy_connector_aws.sandbox.aws.iam_account import OWN_ACCOUNT, allowing, trusting
from ploy_connector_aws.spec import Account
from tests.aws.snapshot import Snapshot

from .conftest import ADMINISTRATOR, OTHER_ACCOUNT, OTHERS_EXTERNAL_ID, IamCustomer

OWN = f"arn:aws:iam::{OWN_ACCOUNT}"
GITHUB = "token.actions.githubusercontent.com"


def allow(principal: object, action: object = "sts:AssumeRole", **more: object) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": principal, "Action": action, **more}


def settle(owner: IamCustomer, *statements: dict[str, Any], roles: tuple[IamRole, ...] = ()) -> Snapshot:
    """Read an account with the role `target`, which has this trust policy."""
    return owner.reseed(IamAccount(roles=(*roles, IamRole("target", trusting(*statements))))).read_iam()


def holders(owner: IamCustomer, snapshot: Snapshot, role: str = "target") -> dict[str, Any]:
    """The attributes of the grants of a role, by holder."""
    return {
        grant.principal_id: grant.attributes
        for grant in snapshot.of("grant").values()
        if grant.entitlement_id == owner.role(role) != grant.principal_id
    }


def test_another_account_becomes_an_external_account_and_its_external_id_is_never_disclosed(owner: IamCustomer) -> None:
    snapshot = owner.read_iam()
    other = f"arn:aws:iam::{OTHER_ACCOUNT}:root"

    assert snapshot.of("account")[other] == Account(
        id=other,
        kind="external",
        username=other,
        source="iam",
        not_grantable_reason=grantability.IAM_ACCOUNT,
        attributes={"principal": "account", "aws_account_id": OTHER_ACCOUNT, "arn": other},
    )
    (statement,) = holders(owner, snapshot, "partner")[other]["ways"]
    assert statement["external_id"] == "required"
    assert OTHERS_EXTERNAL_ID not in repr(snapshot)
    assert owner.settings["external_id"] not in repr(snapshot.records)


def test_kinds_of_principals_become_kinds_of_accounts(owner: IamCustomer) -> None:
    snapshot = settle(
        owner,
        allow({"Service": "lambda.amazonaws.com"}),
        allow({"AWS": f"{OWN}:root"}),
        allow({"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:role/theirs"}),
        allow({"AWS": f"arn:aws:sts::{OWN_ACCOUNT}:federated-user/fed"}),
        allow({"Federated": f"{OWN}:saml-provider/idp"}, "sts:AssumeRoleWithSAML"),
        allow({"Federated": f"{OWN}:oidc-provider/{GITHUB}"}, "sts:AssumeRoleWithWebIdentity"),
        allow("*", Condition={"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}),
    )
    own = f"arn:aws:iam::{owner.account_id}"
    accounts = snapshot.of("account")

    assert {id_: accounts[id_].kind for id_ in holders(owner, snapshot)} == {
        "lambda.amazonaws.com": "service",
        f"{own}:root": "root",
        f"arn:aws:iam::{OTHER_ACCOUNT}:role/theirs": "external",
        f"arn:aws:sts::{owner.account_id}:federated-user/fed": "unknown",
        f"{own}:saml-provider/idp": "external",
        f"{own}:oidc-provider/{GITHUB}": "external",
        "*": "external",
    }
    flags = holders(owner, snapshot)["*"]["flags"]
    assert "wildcard_principal" in flags
    assert "wildcard_principal" in snapshot.of("entitlement")[owner.role("target")].attributes["trust_flags"]


def test_every_spelling_of_the_action_is_recognised(owner: IamCustomer) -> None:
    """Other products recognise only the exact `sts:AssumeRole`."""
    app = IamRole("app", trusting(Service="ec2.amazonaws.com"))
    for action in ("sts:AssumeRole", "sts:*", "*", "STS:assume*", ["sts:TagSession", "sts:AssumeRole"]):
        snapshot = settle(owner, allow({"AWS": f"{OWN}:role/app"}, action), roles=(app,))
        assert holders(owner, snapshot).keys() == {owner.role("app")}, action
    assert holders(owner, settle(owner, allow({"AWS": f"{OWN}:role/app"}, "sts:TagSession"), roles=(app,))) == {}


def test_session_of_a_role_is_the_role_with_an_attribute_unless_the_role_is_trusted_itself(owner: IamCustomer) -> None:
    app = IamRole("app", trusting(Service="ec2.amazonaws.com"), "/some/path/")
    session = f"arn:aws:sts::{OWN_ACCOUNT}:assumed-role/app/nightly"
    only = holders(owner, settle(owner, allow({"AWS": session}), roles=(app,)))

    assert {id_: attributes.get("only_session") for id_, attributes in only.items()} == {
        owner.role("app"): session.replace(OWN_ACCOUNT, owner.account_id)
    }
    both = holders(owner, settle(owner, allow({"AWS": [session, f"{OWN}:role/some/path/app"]}), roles=(app,)))
    assert {id_: attributes.get("only_session") for id_, attributes in both.items()} == {owner.role("app"): None}


def test_deleted_principal_holds_nothing_and_is_flagged(owner: IamCustomer) -> None:
    snapshot = settle(owner, allow({"AWS": "AROAEXAMPLEEXAMPLE123"}))

    assert holders(owner, snapshot) == {}
    assert snapshot.endings["iam/trust"] == "complete"
    assert "deleted_principal" in snapshot.of("entitlement")[owner.role("target")].attributes["trust_flags"]


def test_role_assigned_by_account_access_manager_is_flagged_with_unknown_holders(owner: IamCustomer) -> None:
    snapshot = settle(
        owner,
        allow({"Service": "account-access.amazonaws.com"}, ["sts:AssumeRole", "sts:SetContext", "sts:TagSession"]),
    )
    flags = snapshot.of("entitlement")[owner.role("target")].attributes["trust_flags"]

    assert flags == {"account_access_manager": FLAGS["account_access_manager"]}


def test_unsupported_trust_policy_fails_only_the_scope_of_trust(owner: IamCustomer) -> None:
    settle(owner, allow({"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:root"}))
    owner.iam.roles["target"].assume_role_policy_document = '{"Version": "2030-01-01", "Statement": "?"}'
    snapshot = owner.read_iam()

    assert snapshot.ended("failed") == {"iam/trust"}
    assert "target" in snapshot.failures["iam/trust"].message
    assert snapshot.of("entitlement")[owner.role("target")].attributes["trust_undecided"]


def test_unlisted_principal_fails_the_scope_and_invents_no_account(owner: IamCustomer) -> None:
    snapshot = settle(owner, allow({"AWS": [f"{OWN}:user/late", f"{OWN}:user/ana"]}), roles=())
    assert snapshot.ended("failed") == {"iam/trust"}
    assert holders(owner, snapshot) == {}

    owner.iam.add_user(IamUser("late"))
    owner.iam.add_user(IamUser("ana"))
    snapshot = owner.read_iam()
    assert snapshot.failures == {}
    assert holders(owner, snapshot).keys() == {owner.user("late"), owner.user("ana")}


def test_role_that_trusts_its_account_is_held_by_those_whose_own_policies_allow_it(owner: IamCustomer) -> None:
    """The case of the climber, with a group, a chain of roles, a boundary and a session of a role."""
    summit = f"{OWN}:role/summit"
    climb, base = allowing("sts:AssumeRole", resource=summit), allowing("sts:AssumeRole", resource=f"{OWN}:role/base")
    account = IamAccount(
        policies=(IamPolicy("Climb", climb), IamPolicy("Flat", allowing("s3:*"))),
        groups=(IamGroup("climbers", managed_policies=("Climb",)),),
        users=(
            IamUser("climber", inline_policies={"up": climb}),
            IamUser("walker"),
            IamUser("member", groups=("climbers",)),
            IamUser("bounded", managed_policies=("Climb",), boundary="Flat"),
            IamUser("chained", inline_policies={"up": base}),
        ),
        roles=(
            IamRole("summit", trusting(AWS=OWN_ACCOUNT), managed_policies=(ADMINISTRATOR,)),
            IamRole("base", trusting(AWS=f"{OWN}:root"), inline_policies={"up": climb}),
            IamRole("runner", trusting(Service="ec2.amazonaws.com"), inline_policies={"up": climb}),
            IamRole(
                "both",
                trusting(AWS=(f"arn:aws:sts::{OWN_ACCOUNT}:assumed-role/summit/nightly", f"{OWN}:root")),
            ),
        ),
    )
    snapshot = owner.reseed(account).read_iam()
    root = f"arn:aws:iam::{owner.account_id}:root"

    assert snapshot.failures == {}
    assert holders(owner, snapshot, "summit").keys() == {
        *(root, owner.user("climber"), owner.user("member"), owner.role("base"), owner.role("runner")),
    }
    assert holders(owner, snapshot, "base").keys() == {root, owner.user("chained"), owner.role("summit")}
    assert holders(owner, snapshot, "summit")[owner.user("climber")]["by_own_policies"] is True
    # The role itself may assume it, not only one session.
    both = holders(owner, snapshot, "both")[owner.role("summit")]
    assert (both["by_own_policies"], "only_session" in both) == (True, False)


def test_unsupported_policy_fails_the_scope_of_trust_and_invents_no_holder(owner: IamCustomer) -> None:
    users = (IamUser("ana", managed_policies=("Strange",)), IamUser("bo"))
    roles = (IamRole("target", trusting(AWS=f"{OWN}:root")),)
    owner.reseed(IamAccount(policies=(IamPolicy("Strange", allowing("s3:*")),), users=users, roles=roles))
    strange = {"Version": "2012-10-17", "Statement": [{"Effect": "Perhaps", "Action": "*", "Resource": "*"}]}
    owner.iam.policies["Strange"].versions[0].document = json.dumps(strange)
    snapshot = owner.read_iam()

    assert snapshot.ended("failed") == {"iam/trust"}
    assert "user/ana" in snapshot.failures["iam/trust"].message
    assert holders(owner, snapshot).keys() == {f"arn:aws:iam::{owner.account_id}:root"}
