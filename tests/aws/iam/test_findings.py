"""Findings on roles that outsiders can assume and on dormant privileged users: the certain ones, and no others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ploy_connector_aws.aws.iam.findings import KINDS, find_role_findings
from ploy_connector_aws.aws.labels import LABELS
from ploy_connector_aws.aws.policy.privileges import Verdict
from ploy_connector_aws.aws.policy.trust import to_trust
from ploy_connector_aws.sandbox.aws import IamAccount, IamGroup, IamRole, IamUser
from ploy_connector_aws.sandbox.aws.iam_account import OWN_ACCOUNT, allowing, trusting
from ploy_connector_aws.spec import Finding, RecordKey
from tests.aws.snapshot import Snapshot
from tests.aws.tampering import in_xml
from tests.yaml_files import read_yaml

from .conftest import ADMINISTRATOR, OTHER_ACCOUNT, IamCustomer
from .test_reader import read_tampered

OTHER = f"arn:aws:iam::{OTHER_ACCOUNT}:root"
OWN_ROLE = f"arn:aws:iam::{OWN_ACCOUNT}:role/subject"
MANAGEMENT = "777788889999"
GITHUB = "token.actions.githubusercontent.com"
COGNITO = "cognito-identity.amazonaws.com"
CASES = {
    case["case"]: case["trust_policy"]
    for case in read_yaml(Path(__file__).parents[2] / "data" / "cases" / "trust-policies.yaml")
}


def allow(principal: object, condition: object = None, action: str = "sts:AssumeRole") -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        **({"Condition": condition} if condition else {}),
    }


def deny(condition: object, action: str = "sts:*") -> dict[str, Any]:
    return {**allow("*", condition, action), "Effect": "Deny"}


def github(**condition: Any) -> dict[str, Any]:
    provider = f"arn:aws:iam::{OWN_ACCOUNT}:oidc-provider/{GITHUB}"
    return allow({"Federated": provider}, condition, "sts:AssumeRoleWithWebIdentity")


def guests(**condition: Any) -> dict[str, Any]:
    unauthenticated = {"ForAnyValue:StringLike": {f"{COGNITO}:amr": "unauthenticated"}, **condition}
    return allow({"Federated": COGNITO}, unauthenticated, "sts:AssumeRoleWithWebIdentity")


ANYBODY, PROVIDER = "role-open-to-anybody", "role-open-to-identity-provider"
BY_ID, NO_ID = "role-open-by-external-id", "external-id-missing"
EXTERNAL_ID = {"StringEquals": {"sts:ExternalId": "e-1"}}
OWN_ORGANIZATION = {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}
OTHER_ORGANIZATIONS = {"StringNotEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}

FOUND: dict[str, tuple[Sequence[dict[str, Any]], set[str]]] = {
    **{
        name: (CASES[name]["Statement"], right)
        for name, right in {
            "trust-github-prefix": {PROVIDER},
            "trust-github-owner-id": set(),
            "trust-gitlab-all-projects": {PROVIDER},
            "trust-terraform-any-organization": {PROVIDER},
            "trust-cognito-unauthenticated": {ANYBODY},
            "trust-everyone-org-pattern": {ANYBODY},
            "trust-everyone-principalarn-short": {ANYBODY},
        }.items()
    },
    "everyone": ([allow("*")], {ANYBODY}),
    "everyone as an AWS principal": ([allow({"AWS": "*"})], {ANYBODY}),
    "everyone with MFA": ([allow("*", {"Bool": {"aws:MultiFactorAuthPresent": "true"}})], {ANYBODY}),
    "everyone of a tag": ([allow("*", {"StringEquals": {"aws:PrincipalTag/team": "web"}})], {ANYBODY}),
    "everyone of the organization": ([allow("*", OWN_ORGANIZATION)], set()),
    "everyone, and others are denied": ([allow("*"), deny(OTHER_ORGANIZATIONS)], set()),
    "everyone by all calls, and others are denied one": (
        [allow("*", None, "sts:*"), deny(OTHER_ORGANIZATIONS, "sts:AssumeRole")],
        set(),
    ),
    "everyone by all calls, and others are denied another one": (
        [allow("*", None, "sts:*"), deny(OTHER_ORGANIZATIONS, "sts:AssumeRoleWithSAML")],
        {ANYBODY},
    ),
    "everyone by all calls, of which one is denied": (
        [allow("*", None, "sts:*"), deny(None, "sts:AssumeRole")],
        set(),
    ),
    "everyone, and others are denied by a key that every caller has": (
        [allow("*"), deny({"ForAnyValue:StringNotEquals": {"aws:PrincipalAccount": OWN_ACCOUNT}})],
        set(),
    ),
    "everyone, and others are denied by two statements": (
        [
            allow("*"),
            deny({"Null": {"aws:PrincipalOrgPaths": "true"}}),
            deny({"ForAnyValue:StringNotLike": {"aws:PrincipalOrgPaths": "o-abcdefghij/*"}}),
        ],
        set(),
    ),
    "everyone, and everyone is denied": (
        [allow("*"), deny({"ArnLike": {"aws:PrincipalArn": "arn:aws:*:*:*:*"}})],
        set(),
    ),
    "everyone, and everyone is denied by text": (
        [allow("*"), deny({**OTHER_ORGANIZATIONS, "StringLike": {"sts:RoleSessionName": "*"}})],
        set(),
    ),
    "everyone, and one organization is denied": ([allow("*"), deny(OWN_ORGANIZATION)], {ANYBODY}),
    "everyone, and others are denied unless they have a tag": (
        [allow("*"), deny({"StringNotEquals": {"aws:PrincipalOrgID": "o-1", "aws:PrincipalTag/team": "web"}})],
        {ANYBODY},
    ),
    "everyone outside the organization": ([allow("*", {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}})], {ANYBODY}),
    "everyone, of a key that is not known": ([allow("*", {"StringEquals": {"acme:Ticket": "1"}})], set()),
    "everyone, only by services": ([allow("*", {"Bool": {"aws:PrincipalIsAWSService": "true"}})], set()),
    "everyone, until a date": ([allow("*", {"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}})], set()),
    "everyone, some denied by a key that is not known": (
        [allow("*"), deny({"StringNotEquals": {"acme:Ticket": "1"}})],
        set(),
    ),
    "everyone with an external ID": ([allow("*", EXTERNAL_ID)], {BY_ID}),
    "everyone, denied without an external ID": (
        [allow("*"), deny({"StringNotEquals": {"sts:ExternalId": "e-1"}})],
        {BY_ID},
    ),
    "everyone with an external ID and a key that is not known": (
        [allow("*", {"StringEquals": {"sts:ExternalId": "e-1", "acme:Ticket": "1"}})],
        set(),
    ),
    "guests": ([guests()], {ANYBODY}),
    "guests of an address": ([guests(IpAddress={"aws:SourceIp": "203.0.113.0/24"})], set()),
    "guests by a key that is not known": ([guests(StringEquals={"acme:Ticket": "1"})], set()),
    "everyone with a token": ([allow({"Federated": "*"}, None, "sts:AssumeRoleWithWebIdentity")], set()),
    "perhaps guests": ([allow({"Federated": COGNITO}, None, "sts:AssumeRoleWithWebIdentity")], {PROVIDER}),
    "GitHub": ([github()], {PROVIDER}),
    "GitHub by a key that is not known": ([github(StringEquals={"acme:Ticket": "1"})], set()),
    "GitHub, and other owners are denied": (
        [github(), deny({"ForAnyValue:StringNotLike": {f"{GITHUB}:sub": "repo:acme/*"}})],
        set(),
    ),
    "GitHub of one owner": ([github(StringLike={f"{GITHUB}:sub": "repo:acme/*"})], set()),
    "an issuer of one's own": (
        [
            allow(
                {"Federated": f"arn:aws:iam::{OWN_ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/AB12"},
                None,
                "sts:AssumeRoleWithWebIdentity",
            )
        ],
        set(),
    ),
    "an issuer that the table lacks": (
        [
            allow(
                {"Federated": f"arn:aws:iam::{OWN_ACCOUNT}:oidc-provider/login.acme.example"},
                None,
                "sts:AssumeRoleWithWebIdentity",
            )
        ],
        set(),
    ),
    "another account": ([allow({"AWS": OTHER})], {NO_ID}),
    "a role of another account": ([allow({"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:role/theirs"})], {NO_ID}),
    "another account with MFA": ([allow({"AWS": OTHER}, {"Bool": {"aws:MultiFactorAuthPresent": "true"}})], {NO_ID}),
    "another account with an external ID": ([allow({"AWS": OTHER}, EXTERNAL_ID)], set()),
    "another account with one of two": (
        [allow({"AWS": OTHER}, {"StringEquals": {"sts:ExternalId": ["e-1", "e-2"]}})],
        set(),
    ),
    "another account with an external ID if it sends one": (
        [allow({"AWS": OTHER}, {"StringEqualsIfExists": {"sts:ExternalId": "e-1"}})],
        {NO_ID},
    ),
    "another account of the organization": ([allow({"AWS": OTHER}, OWN_ORGANIZATION)], set()),
    "another account, denied without an external ID": (
        [allow({"AWS": OTHER}), deny({"StringNotEquals": {"sts:ExternalId": "e-1"}})],
        set(),
    ),
    "another account by a key that is not known": ([allow({"AWS": OTHER}, {"StringEquals": {"acme:T": "1"}})], set()),
    "the management account": ([allow({"AWS": f"arn:aws:iam::{MANAGEMENT}:root"})], set()),
    "the own account": ([allow({"AWS": f"arn:aws:iam::{OWN_ACCOUNT}:root"})], set()),
    "a service": ([allow({"Service": "ec2.amazonaws.com"})], set()),
    "a deleted role": ([allow({"AWS": "AROAEXAMPLEEXAMPLE123"})], set()),
    "a SAML provider": (
        [allow({"Federated": f"arn:aws:iam::{OWN_ACCOUNT}:saml-provider/idp"}, None, "sts:AssumeRoleWithSAML")],
        set(),
    ),
    "everyone, but for a denial that was not understood": (
        [allow("*"), {"Effect": "Deny", "NotPrincipal": {"AWS": OTHER}, "Action": "sts:AssumeRole"}],
        set(),
    ),
    "the better of two statements": ([allow({"AWS": OTHER}, EXTERNAL_ID), allow({"AWS": OTHER})], {NO_ID}),
}


def find(statements: Sequence[dict[str, Any]], verdict: Verdict = Verdict(False)) -> list[Finding]:  # noqa: B008
    trust = to_trust(trusting(*statements), OWN_ROLE, MANAGEMENT)
    return list(find_role_findings("r1", "subject", trust, verdict, MANAGEMENT))


@pytest.mark.parametrize(("statements", "right"), FOUND.values(), ids=FOUND)
def test_role_has_a_finding_where_outsiders_can_certainly_assume_it(
    statements: Sequence[dict[str, Any]], right: set[str]
) -> None:
    assert {finding.kind for finding in find(statements)} == right


def test_each_case_from_public_sources_is_decided() -> None:
    assert CASES.keys() <= FOUND.keys()


def test_finding_on_a_role_states_what_was_seen_and_is_more_severe_where_the_role_is_privileged() -> None:
    statement = allow({"AWS": OTHER}, {"Bool": {"aws:MultiFactorAuthPresent": "true"}})
    (finding,), (worse,) = find([statement]), find([statement], Verdict(True))

    assert finding == Finding(
        id=f"external-id-missing/r1/{OTHER}",
        kind="external-id-missing",
        subjects=(RecordKey(type="entitlement", id="r1"), RecordKey(type="account", id=OTHER)),
        severity="medium",
        title="Another AWS account can assume this role without an external ID.",
        evidence=f"The trust policy of the role subject admits {OTHER} by sts:AssumeRole. No condition requires an "
        "external ID. The owner of that account is unknown. Its conditions are on "
        "aws:multifactorauthpresent.",
        advice="If the account belongs to another organization, require an external ID (sts:ExternalId) in the trust "
        "policy. If it belongs to yours, add a condition on aws:PrincipalOrgID.",
    )
    assert (worse.id, worse.severity) == (finding.id, "high")
    assert worse.evidence == f"{finding.evidence} The role is privileged."
    assert [each.severity for each in find([allow("*")], Verdict(True))] == ["critical"]


def test_each_kind_has_a_label() -> None:
    assert {label.kind for label in LABELS if label.record_type == "finding"} == KINDS.keys()


def test_each_principal_has_a_finding_of_its_own() -> None:
    statement = allow({"AWS": [OTHER, "arn:aws:iam::222233334444:root"]})
    assert {finding.id for finding in find([statement, allow("*")])} == {
        "role-open-to-anybody/r1/*",
        f"external-id-missing/r1/{OTHER}",
        "external-id-missing/r1/arn:aws:iam::222233334444:root",
    }


# --- over HTTP ------------------------------------------------------------------------------------------------------

SCOPE = "iam/dormant-users"
LONG_AGO, LATELY = timedelta(days=91), timedelta(days=89)
ADMINISTRATORS = IamGroup("admins", managed_policies=(ADMINISTRATOR,))


def user(name: str, ago: timedelta | None = LONG_AGO, **more: Any) -> IamUser:
    return IamUser(name, password_last_used=datetime.now(UTC) - ago if ago else None, **more)


def assumed_by(name: str, *holders: str, **more: Any) -> IamRole:
    return IamRole(name, trusting(AWS=tuple(f"arn:aws:iam::{OWN_ACCOUNT}:{each}" for each in holders)), **more)


def read(owner: IamCustomer, *users: IamUser, roles: tuple[IamRole, ...] = ()) -> Snapshot:
    return owner.reseed(IamAccount(groups=(ADMINISTRATORS,), users=users, roles=roles)).read_iam()


def dormant(snapshot: Snapshot) -> set[str]:
    """The users with a finding, by name."""
    names = {id_: account.username for id_, account in snapshot.of("account").items()}
    found = snapshot.of("finding", "dormant-privileged-user").values()
    return {names[finding.subjects[0].id] for finding in found}


def test_role_findings_are_listed_with_who_can_assume_the_role(owner: IamCustomer) -> None:
    roles = (
        IamRole("partner", trusting(AWS=OTHER), managed_policies=(ADMINISTRATOR,)),
        IamRole("lobby", trusting(allow("*"))),
        IamRole("app", trusting(Service="ec2.amazonaws.com")),
    )
    snapshot = read(owner, roles=roles)

    assert {(each.kind, each.severity, each.subjects[0].id) for each in snapshot.of("finding").values()} == {
        ("external-id-missing", "high", owner.role("partner")),
        ("role-open-to-anybody", "high", owner.role("lobby")),
    }
    assert all(subject in snapshot.records for each in snapshot.of("finding").values() for subject in each.subjects)


def test_user_is_dormant_by_a_known_old_sign_in_and_privileged_access_alone(owner: IamCustomer) -> None:
    snapshot = read(
        owner,
        user("direct", managed_policies=(ADMINISTRATOR,)),
        user("by-group", groups=("admins",)),
        user("lately", LATELY, groups=("admins",)),
        user("never", None, groups=("admins",)),
        user("harmless", inline_policies={"own": allowing("s3:GetObject")}),
    )
    assert dormant(snapshot) == {"direct", "by-group"}
    assert snapshot.ended("complete") >= {SCOPE, *(f"{SCOPE}/{owner.iam.users[each].id}" for each in dormant(snapshot))}
    assert {each for each in snapshot.endings if each.startswith(f"{SCOPE}/")} == {
        f"{SCOPE}/{owner.iam.users[each].id}" for each in dormant(snapshot)
    }
    finding = snapshot.of("finding")[f"dormant-privileged-user/{owner.user('direct')}"]
    day = (datetime.now(UTC) - LONG_AGO).date()
    assert finding.evidence == (
        f"The last known console sign-in of the IAM user direct was on {day}. It reaches privileged access by its own "
        "policies and those of its groups. Whether it has used access keys since cannot be read."
    )


def test_dormant_user_reaches_privileged_access_through_roles(owner: IamCustomer) -> None:
    snapshot = read(
        owner,
        user("starter"),
        user("other"),
        roles=(
            assumed_by("first", "user/starter", "role/second"),
            assumed_by("second", "role/first"),
            assumed_by("admin", "role/second", managed_policies=(ADMINISTRATOR,)),
            assumed_by("aside", "user/other"),
        ),
    )
    assert dormant(snapshot) == {"starter"}
    (finding,) = snapshot.of("finding").values()
    assert [key.id for key in finding.subjects] == [owner.user("starter"), owner.role("admin")]
    assert "through the role first and then second, admin." in finding.evidence


def test_user_whose_privilege_is_not_known_fails_a_scope_of_its_own(owner: IamCustomer) -> None:
    odd = {
        "Version": "2012-10-17",
        "Statement": [{**allowing("iam:*")["Statement"][0], "Condition": {"X": {"a": "b"}}}],
    }
    users = user("plain"), user("direct", groups=("admins",))
    read(owner, *users, roles=(assumed_by("odd", "user/plain", inline_policies={"odd": allowing("s3:*")}),))
    owner.iam.roles["odd"].policies["odd"] = json.dumps(odd)
    snapshot = owner.read_iam()

    assert snapshot.of("entitlement")[owner.role("odd")].privileged is None
    assert snapshot.ended("failed") == {f"{SCOPE}/{owner.iam.users['plain'].id}"}
    assert dormant(snapshot) == {"direct"}


def test_privileged_user_that_the_list_of_sign_ins_lacks_fails_a_scope_of_its_own(
    owner: IamCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaver, harmless = user("leaver", path="/people/", groups=("admins",)), user("harmless", path="/people/")
    before = read(owner, leaver, harmless, user("direct", groups=("admins",)))
    assert dormant(before) == {"leaver", "direct"}

    tamper = in_xml("ListUsers", r"<member><Path>/people/</Path>.*?</member>", "")
    snapshot = read_tampered(owner, monkeypatch, tamper)
    assert snapshot.ended("failed") == {f"{SCOPE}/{owner.iam.users['leaver'].id}"}
    assert dormant(snapshot) == {"direct"}


@pytest.mark.parametrize("action", ["iam:ListUsers", "iam:ListRoles", "iam:GetAccountAuthorizationDetails"])
def test_denied_list_fails_the_scope_so_that_no_finding_is_gone(owner: IamCustomer, action: str) -> None:
    users = user("direct", groups=("admins",)), user("harmless")
    read(owner, *users, roles=(IamRole("lobby", trusting(allow("*"))),))
    owner.aws.faults.deny(action)
    snapshot = owner.read_iam()

    assert SCOPE in snapshot.ended("failed")
    listed = set() if action != "iam:ListRoles" else {"direct"}
    assert dormant(snapshot) == listed
    is_role_known = action != "iam:GetAccountAuthorizationDetails"
    assert (snapshot.endings["iam/trust"] == "complete") == is_role_known
    assert bool(snapshot.of("finding", "role-open-to-anybody")) == is_role_known
