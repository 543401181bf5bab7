"""IAM groups, roles and policies as entitlements, and who holds them, over HTTP from the local AWS."""

from __future__ import annotations

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.policy.escalations import TABLE_DATE
from ploy_connector_aws.aws.policy.privileges import NEVER_SEEN
from ploy_connector_aws.sandbox.aws import IamAccount, IamRole
from ploy_connector_aws.sandbox.aws.iam_account import allowing, trusting
from ploy_connector_aws.spec import Entitlement

from .conftest import ADMINISTRATOR, READ_ONLY_ACCESS, IamCustomer

CREATED = "2025-01-11T09:00:00+00:00"
NOT_SEEN = {"privilege_never_seen": list(NEVER_SEEN), "privilege_table_date": TABLE_DATE}
VERSIONS = "It can change what a policy allows (iam:CreatePolicyVersion)."
CAN_VERSION = {"privilege_reasons": [{"code": "policy-version", "actions": ["iam:CreatePolicyVersion"]}]}


def test_group_has_the_verdict_on_all_its_policies(owner: IamCustomer) -> None:
    arn = f"arn:aws:iam::{owner.account_id}:group"

    assert owner.read_iam().of("entitlement", "group") == {
        owner.group("operators"): Entitlement(
            id=owner.group("operators"),
            kind="group",
            name="operators",
            not_grantable_reason=grantability.IAM_GROUP,
            privileged=True,
            privileged_reasons=(VERSIONS,),
            attributes={
                "arn": f"{arn}/teams/operators",
                "path": "/teams/",
                "created": CREATED,
                **CAN_VERSION,
                **NOT_SEEN,
            },
        ),
        owner.group("empty"): Entitlement(
            id=owner.group("empty"),
            kind="group",
            name="empty",
            not_grantable_reason=grantability.IAM_GROUP,
            privileged=False,
            attributes={"arn": f"{arn}/empty", "path": "/", "created": CREATED, **NOT_SEEN},
        ),
    }


def test_policies_are_keyed_by_owner_and_only_attached_ones_are_emitted(owner: IamCustomer) -> None:
    policies = owner.read_iam().of("entitlement", "policy")

    assert policies.keys() == {
        owner.policy("Deploy"),
        owner.policy("Versions"),
        READ_ONLY_ACCESS,
        ADMINISTRATOR,
        f"{owner.user('ana')}/inline/own",
        f"{owner.role('app')}/inline/queue",
        f"{owner.ploy}/inline/PloyAccess",
    }
    assert policies[owner.policy("Deploy")] == Entitlement(
        id=owner.policy("Deploy"),
        kind="policy",
        name="Deploy",
        description="Deploys",
        not_grantable_reason=grantability.IAM_POLICY,
        privileged=False,
        attributes={
            "arn": f"arn:aws:iam::{owner.account_id}:policy/teams/Deploy",
            "path": "/teams/",
            "default_version": "v1",
            "created": CREATED,
            "updated": CREATED,
            **NOT_SEEN,
        },
    )
    assert policies[f"{owner.role('app')}/inline/queue"] == Entitlement(
        id=f"{owner.role('app')}/inline/queue",
        kind="policy",
        name="queue",
        not_grantable_reason=grantability.IAM_INLINE_POLICY,
        privileged=False,
        attributes={"inline_of": owner.role("app"), **NOT_SEEN},
    )
    assert (policies[ADMINISTRATOR].privileged, policies[ADMINISTRATOR].managed_by) == (True, "Amazon Web Services")
    assert (policies[owner.policy("Versions")].privileged_reasons) == (VERSIONS,)


def test_role_entitlement_has_the_id_of_its_account_and_its_verdict(owner: IamCustomer) -> None:
    roles = owner.read_iam().of("entitlement", "role")

    assert roles[owner.role("app")] == Entitlement(
        id=owner.role("app"),
        kind="role",
        name="app",
        description="Runs the app",
        resource_id=owner.account_id,
        not_grantable_reason=grantability.IAM_ROLE,
        privileged=False,
        attributes={
            "arn": f"arn:aws:iam::{owner.account_id}:role/app",
            "path": "/",
            "role_type": "instance_profile",
            "max_session_seconds": 7200,
            "created": CREATED,
            **NOT_SEEN,
        },
    )
    assert roles[owner.role("admin")].privileged is True
    # The same policy, but a boundary that lets only S3 through.
    assert roles[owner.role("fenced")].privileged is False
    assert roles[owner.role("fenced")].attributes["permissions_boundary"].endswith(":policy/Fence")


def test_two_policies_harmless_alone_make_a_role_privileged_together(owner: IamCustomer) -> None:
    passing = {"pass": allowing("iam:PassRole"), "run": allowing("lambda:CreateFunction", "lambda:InvokeFunction")}
    roles = (IamRole("both", trusting(Service="ec2.amazonaws.com"), inline_policies=passing),)
    entitlements = owner.reseed(IamAccount(roles=roles)).read_iam().of("entitlement")
    both = owner.role("both")

    assert [entitlements[id_].privileged for id_ in (f"{both}/inline/run", both)] == [False, True]


def test_holdings_are_edges_and_none_is_flattened(owner: IamCustomer) -> None:
    snapshot = owner.read_iam()
    held = {
        edge for edge in snapshot.edges if not edge[0].startswith("arn:") and not edge[0].endswith(".amazonaws.com")
    }
    provisioned = next(name for name in owner.iam.roles if name.startswith("AWSReservedSSO_"))

    assert held == {
        (owner.user("ana"), owner.group("operators")),
        (owner.user("ana"), owner.policy("Deploy")),
        (owner.user("ana"), f"{owner.user('ana')}/inline/own"),
        (owner.group("operators"), READ_ONLY_ACCESS),
        (owner.group("operators"), owner.policy("Versions")),
        (owner.role("app"), owner.policy("Deploy")),
        (owner.role("app"), f"{owner.role('app')}/inline/queue"),
        (owner.role("admin"), ADMINISTRATOR),
        (owner.role("fenced"), ADMINISTRATOR),
        (owner.role(provisioned), ADMINISTRATOR),
        (owner.ploy, f"{owner.ploy}/inline/PloyAccess"),
        # By ARN in the trust policy of "admin".
        (owner.user("ana"), owner.role("admin")),
        (owner.role("app"), owner.role("admin")),
        # "fenced" trusts its account, and the policies of these roles let them assume every role.
        (owner.role("admin"), owner.role("fenced")),
        (owner.role(provisioned), owner.role("fenced")),
        # From the account of each role to its entitlement.
        *((owner.role(name), owner.role(name)) for name in owner.iam.roles),
        (owner.ploy, owner.ploy),
    }
    kinds = {(grant.principal_kind, grant.principal_id) for grant in snapshot.of("grant").values()}
    assert {kind for kind, id_ in kinds if id_ == owner.user("ana")} == {"account"}
    assert {kind for kind, id_ in kinds if id_ == owner.group("operators")} == {"entitlement"}
    grant = next(
        each
        for each in snapshot.of("grant").values()
        if (each.principal_id, each.entitlement_id) == (owner.role("app"), owner.role("admin"))
    )
    assert grant.principal_kind == "entitlement"


def test_every_grant_names_records_of_the_same_read(owner: IamCustomer) -> None:
    snapshot = owner.read(scopes=["identity-center", "iam"])
    grants = snapshot.of("grant").values()

    assert {each.principal_id for each in grants if each.principal_kind == "account"} <= snapshot.of("account").keys()
    assert {each.entitlement_id for each in grants} <= snapshot.of("entitlement").keys()
    assert {each.principal_id for each in grants if each.principal_kind == "entitlement"} <= snapshot.of(
        "entitlement"
    ).keys()
