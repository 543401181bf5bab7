"""Who can assume roles that trust their own account: holders whose own policies allow it; documents only."""

from __future__ import annotations

import json
from typing import Any

from ploy_connector_aws.aws.iam.trust_grants import AssumableRoles, Holder
from ploy_connector_aws.aws.policy.effective_permissions import EffectivePermissions, to_permissions, unread_policy
from ploy_connector_aws.aws.policy.trust import to_trust
from tests.aws.policy.test_cases import VERDICTS
from tests.steps import at_most

OWN = "arn:aws:iam::111122223333"
Statement = dict[str, Any]


def document(*statements: Statement) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(resource: object, action: object = "sts:AssumeRole", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(resource: object, action: object = "sts:AssumeRole", **more: Any) -> Statement:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def trusting(principal: object = f"{OWN}:root", **more: Any) -> Statement:
    return {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", **more}


class Account:
    """An account as documents: users and roles with their policies, roles with their trust policies."""

    def __init__(self) -> None:
        self.roles = AssumableRoles()

    def user(
        self, name: str, *policies: EffectivePermissions | Statement, boundary: Statement | None = None, **tags: str
    ) -> None:
        self._hold(Holder("user", f"{OWN}:user/{name}", name, f"AIDA{name}", tuple(tags.items())), policies, boundary)

    def role(self, name: str, *policies: Statement, trust: list[Statement], boundary: Statement | None = None) -> None:
        arn = f"{OWN}:role/{name}"
        self._hold(Holder("role", arn, name, f"AROA{name}"), policies, boundary)
        self.roles.add_role(arn, name, document(*trust), to_trust(document(*trust), arn))

    def _hold(
        self, holder: Holder, policies: tuple[EffectivePermissions | Statement, ...], boundary: Statement | None
    ) -> None:
        permissions = [
            each if isinstance(each, EffectivePermissions) else to_permissions(document(each)) for each in policies
        ]
        self.roles.add_holder(holder, permissions, to_permissions(document(boundary)) if boundary else None)

    def access(self) -> set[tuple[str, str]]:
        found = list(self.roles.find_access())
        assert all(each.decision is not None and each.decision.is_allowed for each in found)
        return {(each.holder.name, each.role.id) for each in found}


def test_public_case_of_the_climber_and_its_variants() -> None:
    case = VERDICTS["verdict-assume-through-root"]["account"]
    for principal in ("111122223333", f"{OWN}:root"):
        for effect, opens in (("summit", True), ("*", True), ("sum*", True), ("summi?", True), ("base", False)):
            account = Account()
            (role,) = case["RoleDetailList"]
            trust = {**role["AssumeRolePolicyDocument"]["Statement"][0], "Principal": {"AWS": principal}}
            account.role("summit", allow("*", "*"), trust=[trust])
            for user in case["UserDetailList"]:
                statements = [
                    {**statement, "Resource": f"{OWN}:role/{effect}"}
                    for policy in user["UserPolicyList"]
                    for statement in policy["PolicyDocument"]
                ]
                account.user(user["UserName"], *statements)
            assert account.access() == ({("climber", "summit")} if opens else set()), (principal, effect)


def test_denies_and_boundaries_limit_who_can_assume_the_role() -> None:
    role = f"{OWN}:role/target"
    rows: list[tuple[str, list[Statement], Statement | None, bool]] = [
        ("allowed", [allow(role)], None, True),
        ("by every action", [allow("*", "*")], None, True),
        ("by NotAction", [allow("*", None, NotAction="iam:*")], None, True),
        ("by NotResource", [allow(None, NotResource=f"{OWN}:role/other")], None, True),
        ("not by NotResource of it", [allow(None, NotResource=[role])], None, False),
        ("by another action", [allow(role, "sts:AssumeRoleWithSAML")], None, False),
        ("denied", [allow(role), deny("*", "sts:*")], None, False),
        ("denied elsewhere", [allow(role), deny(f"{OWN}:role/other")], None, True),
        ("denied but here", [allow("*"), deny(None, NotResource=role)], None, True),
        ("bounded", [allow(role)], allow("*", "s3:*"), False),
        ("bounded to it", [allow("*")], allow(role, "sts:*"), True),
        ("bounded and denied", [allow(role)], deny("*", "*"), False),
        ("of the past", [allow(role, Condition={"DateLessThan": {"aws:CurrentTime": "2020-01-01"}})], None, False),
        (
            "denied in the past",
            [allow(role), deny("*", Condition={"DateLessThan": {"aws:CurrentTime": "2020-01-01"}})],
            None,
            True,
        ),
        ("of its own name", [allow(f"{OWN}:role/${{aws:username}}")], None, True),
        ("by its tag", [allow(f"{OWN}:role/${{aws:PrincipalTag/job}}")], None, True),
        ("of another name", [allow(f"{OWN}:role/x-${{aws:username}}")], None, False),
    ]
    wrong = []
    for name, statements, boundary, expected in rows:
        account = Account()
        account.role("target", trust=[trusting()])
        cleaned = [{key: value for key, value in each.items() if value is not None} for each in statements]
        account.user("target", *cleaned, boundary=boundary, job="target")
        if account.access() != ({("target", "target")} if expected else set()):
            wrong.append(name)
    assert wrong == []


def test_trust_policy_decides_which_holders_their_own_policies_admit() -> None:
    ana = f"{OWN}:user/ana"
    only_ana = {"ArnEquals": {"aws:PrincipalArn": ana}}
    rows: list[tuple[list[Statement], set[str]]] = [
        ([trusting()], {"ana", "bo"}),
        ([trusting(Condition=only_ana)], {"ana"}),
        ([trusting(Condition={"StringLike": {"aws:PrincipalArn": f"{OWN}:role/*"}})], set()),
        ([trusting(Condition={"StringEquals": {"aws:PrincipalType": "AssumedRole"}})], set()),
        ([trusting(Condition={"StringNotEquals": {"aws:username": "ana"}})], {"bo"}),
        ([trusting(Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})], {"ana", "bo"}),
        ([trusting(), {**trusting(ana), "Effect": "Deny"}], {"bo"}),
        ([trusting(), {**trusting("*", Condition=only_ana), "Effect": "Deny"}], {"bo"}),
        ([trusting("444455556666")], set()),
        ([{**trusting(), "Action": "sts:TagSession"}], set()),
        # The trust policy itself names ana: a grant already, whatever her own policies are.
        ([trusting(), trusting(ana)], {"bo"}),
    ]
    for trust, expected in rows:
        account = Account()
        account.role("target", trust=trust)
        for name in ("ana", "bo"):
            account.user(name, allow("*"))
        account.user("walker", allow("*", "s3:*"))
        assert account.access() == {(name, "target") for name in expected}, trust


def test_chains_are_edges_and_cycles_end() -> None:
    account = Account()
    names = ["one", "two", "three"]
    for name, following in zip(names, [*names[1:], names[0]], strict=True):
        account.role(name, allow(f"{OWN}:role/{following}"), trust=[trusting()])
    account.role("self", allow("*"), trust=[trusting(f"{OWN}:role/other")])
    account.user("climber", allow(f"{OWN}:role/one"))

    assert account.access() == {
        *(("climber", "one"), ("one", "two"), ("two", "three"), ("three", "one")),
        *(("self", name) for name in names),
    }


def test_conditions_of_its_own_policies_are_reported() -> None:
    account = Account()
    account.role("target", trust=[trusting()])
    account.user(
        "ana",
        allow("*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        deny("*", Condition={"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
    )
    (found,) = account.roles.find_access()
    assert found.decision is not None
    attributes = found.to_attributes()
    assert (attributes["by_own_policies"], attributes["principal_kind"]) == (True, "account")
    assert attributes["own_policy_conditions"] == ["aws:MultiFactorAuthPresent"]
    assert attributes["own_policy_may_be_denied"] == ["aws:SourceIp"]
    json.dumps(attributes)


def test_undecided_access_is_neither_granted_nor_dropped() -> None:
    # Of each access that was found: whether it is decided.
    rows: list[tuple[str, list[EffectivePermissions | Statement], Statement | None, list[bool]]] = [
        ("unread", [unread_policy("It was not read.")], None, [False]),
        ("unread beside an Allow", [allow("*"), unread_policy("It was not read.")], None, [True]),
        ("unread and bounded", [unread_policy("It was not read.")], allow("*", "s3:*"), []),
        (
            "a bound that is not understood",
            [allow("*")],
            {"Effect": "Perhaps", "Action": "*", "Resource": "*"},
            [False],
        ),
        ("a variable of the session", [allow(f"{OWN}:role/${{saml:sub}}")], None, [False]),
        ("a Deny by a variable", [allow("*"), deny(f"{OWN}:role/${{saml:sub}}")], None, [False]),
    ]
    for name, policies, boundary, expected in rows:
        account = Account()
        account.role("target", trust=[trusting()])
        account.user("ana", *policies, boundary=boundary)
        found = account.roles.find_access()
        assert [each.decision is not None and each.decision.is_allowed for each in found] == expected, name


def test_large_account_is_compared_in_bounded_steps() -> None:
    account = Account()
    for number in range(300):
        account.role(f"role-{number}", allow(f"{OWN}:role/role-{number + 1}"), trust=[trusting()])
    for number in range(10):
        account.user(f"admin-{number}", allow("*", "*"))
    with at_most(400_000):
        assert len(account.access()) == 299 + 10 * 300
