"""The table of issuers, row by row: whose tokens a condition admits; and the cases from public sources."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.aws.connection_test.trust_policy_check import check_trust_policy
from ploy_connector_aws.aws.policy.issuers import ISSUERS, find_issuer
from ploy_connector_aws.aws.policy.trust import FLAGS, to_trust
from ploy_connector_aws.config import AwsConfig
from tests.soak import cheap
from tests.test_config import SETTINGS
from tests.yaml_files import read_yaml

from .trust_documents import OPEN_FLAGS, UNDECIDED_FLAGS, federation_of, provider, read

CASES: list[dict[str, Any]] = read_yaml(Path(__file__).parents[2] / "data" / "cases" / "trust-policies.yaml")
CONFIG = AwsConfig.from_settings(SETTINGS)

# --- the cases from public sources, each with variations ------------------------------------------------------------

RIGHT = {
    "trust-github-prefix": {"oidc_without_subject"},
    "trust-github-owner-id": set(),
    "trust-gitlab-all-projects": {"oidc_without_subject"},
    "trust-terraform-any-organization": {"oidc_without_subject"},
    "trust-cognito-unauthenticated": {"cognito_guests"},
    "trust-everyone-org-pattern": {"wildcard_unrestricted"},
    "trust-everyone-principalarn-short": {"wildcard_unrestricted"},
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_case_from_public_sources_is_decided_correctly_and_the_connection_test_agrees(case: dict[str, Any]) -> None:
    right = RIGHT[case["case"]]
    assert set(to_trust(case["trust_policy"], case["role"]).flags) & (OPEN_FLAGS | UNDECIDED_FLAGS) == right
    assert (check_trust_policy(case["trust_policy"], CONFIG).outcome == "failed") == bool(right)


def test_each_case_has_its_expected_flags() -> None:
    assert {case["case"] for case in CASES} == RIGHT.keys()


# --- issuers --------------------------------------------------------------------------------------------------------

ROWS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # issuer: subjects of one tenant, subjects of any
    "token.actions.githubusercontent.com": (
        (
            *("repo:acme/app:ref:refs/heads/main", "repo:acme/*", "repo:acme/app:*", "repo:acme@12/app@34:*"),
            *("repository_owner:acme:*", "repository_owner_id:12:*", "job_workflow_ref:acme/flows/.github/*"),
        ),
        (
            *("repo:*", "repo:acme*", "repo:acme*:*", "repo:acme?/app:*", "repo:*/app:*", "repo:a*e/app:ref:*"),
            *("*:acme/app:*", "r*:acme/app:*", "repo:${aws:PrincipalTag/x}/app:*", "environment:prod", "?*", "repo:?*"),
            *("repository_owner:acme*", "repository_owner_id:12*", "ref:refs/heads/main"),
        ),
    ),
    "gitlab.com": (
        ("project_path:acme/app:ref_type:branch:ref:main", "project_path:acme/*"),
        ("project_path:*:ref_type:branch:ref:main", "project_path:acme*", "project_path:*/app:*", "*:ref:main"),
    ),
    "app.terraform.io": (
        ("organization:acme:*", "organization:acme:project:*:workspace:*:run_phase:*"),
        (
            "organization:*",
            "organization:*:project:*:workspace:prod:run_phase:*",
            "organization:acme*",
            "*:workspace:x:*",
        ),
    ),
    "app.eu.terraform.io": (("organization:acme:*",), ("organization:acme*",)),
    "agent.buildkite.com": (
        ("organization:acme:pipeline:*", "organization:acme:*"),
        ("organization:*:pipeline:deploy:*", "organization:acm?:*", "organization:acme*"),
    ),
    "api.pulumi.com/oidc": (
        ("pulumi:deploy:org:acme:project:*", "pulumi:environments:org:acme:env:core"),
        ("pulumi:deploy:org:*", "pulumi:deploy:org:acme*", "pulumi:deploy:*:project:web:*", "pulumi:*"),
    ),
    "scalr.io": (("account:acme:environment:*",), ("account:*:environment:prod:*", "account:acme*")),
    "oidc.codefresh.io": (("account:64f884faac2751b77ca7ab24:*",), ("account:*", "account:64*")),
    "login.app.env0.com/": (("auth0|691b8530",), ("auth0|*", "*")),
    "oidc.vercel.com": (("owner:acme:project:*",), ("owner:*", "owner:acme*:project:x:*")),
    "oidc.modal.com": (("modal:workspace_id:ac-1:*",), ("modal:*", "modal:workspace_id:*:app_name:x:*")),
    "proidc.upbound.io": (("mcp:acme/*",), ("mcp:*", "mcp:acme*")),
    "accounts.google.com": (("108325466783910203044",), ("1083*", "*")),
    "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF": (
        ("system:serviceaccount:web:app", "system:serviceaccount:web:*", "system:serviceaccount:*:app"),
        ("*", "system:serviceaccount:*", "system:serviceaccount:*:*", "system:*", "?*"),
    ),
    "acme-oidc.s3.eu-west-1.amazonaws.com": (("system:serviceaccount:web:app",), ("system:serviceaccount:*:*",)),
    "oidc.circleci.com/org/5e1b9f3a-0000-4000-8000-000000000000": (
        ("org/5e1b9f3a-0000-4000-8000-000000000000/project/*/user/*",),
        ("*", "org/*"),
    ),
    "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc": (("{1}:{2}", "*:{2}*"), ("*",)),
    "acme.auth0.com": (("auth0|1", "auth0|*"), ("*",)),
    "acme.eu.auth0.com": (("auth0|1",), ("?*",)),
    "acme.okta.com/oauth2/default": (("0oa1",), ("*",)),
    "sts.windows.net/9f2d5f6e-0000-4000-8000-000000000000/": (("8c1a",), ("*",)),
    "login.microsoftonline.com/9f2d5f6e-0000-4000-8000-000000000000/v2.0": (("8c1a",), ("*",)),
    "login.microsoftonline.com/common/v2.0": (("8c1a",), ("8*", "*")),
    "acme.app.spacelift.io": (("space:x:*",), ("*",)),
    "oidc.vercel.com/acme": (("owner:acme:project:*",), ("*", "owner:*")),
    "oidc.fly.io/acme": (("acme:app:*",), ("*",)),
    "acme.octopus.app": (("space:default:*",), ("*",)),
    "acme.cloud.databricks.com/oidc": (("sp-1",), ("*",)),
    "cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf": (("5f0c",), ("*",)),
    "token.actions.githubusercontent.com/acme-enterprise": (("repo:acme/app:*",), ("repo:*", "*")),
    "5a1d.tokens.sts.global.api.aws": (("arn:aws:iam::444455556666:role/x",), ("*",)),
}


def test_subject_of_one_tenant_restricts_and_one_of_any_tenant_does_not() -> None:
    wrong: list[tuple[Any, ...]] = []
    for url, (limited, open_) in ROWS.items():
        assert find_issuer(url) is not None, url
        for subjects, right in ((limited, set()), (open_, {"oidc_without_subject"})):
            for subject in subjects:
                condition = {"StringLike": {f"{url}:sub": subject}}
                for each in (condition, {"ForAnyValue:StringLike": condition["StringLike"]}):
                    found = federation_of(url, each) - {"cognito_guests_undecided"}
                    if found != right:
                        wrong.append((url, subject, found))
                lax = [
                    {"StringLikeIfExists": condition["StringLike"]},
                    {"ForAllValues:StringLike": condition["StringLike"]},
                ]
                wrong += [(url, each) for each in lax if federation_of(url, each) != {"oidc_without_subject"}]
            if len(subjects) > 1 and subjects is limited:
                several = {"StringLike": {f"{url}:sub": [*limited, open_[0]]}}
                wrong += [(url, several)] if federation_of(url, several) != {"oidc_without_subject"} else []
    assert wrong == []


CLAIMS: list[tuple[str, str, str, str, bool]] = [
    # issuer, operator, claim, value, whether it limits
    *(
        ("token.actions.githubusercontent.com", operator, claim, value, limits)
        for operator, claim, value, limits in (
            ("StringEquals", "repository_owner_id", "123456", True),
            ("NumericEquals", "repository_owner_id", "123456", True),
            ("StringLike", "repository_owner_id", "1234*", False),
            ("StringEquals", "repository_id", "9", True),
            ("StringLike", "repository_id", "?", False),
            ("StringEquals", "repository_owner", "acme", True),
            ("StringLike", "repository_owner", "acme*", False),
            ("StringLike", "repository", "acme/*", True),
            ("StringLike", "repository", "acme*", False),
            ("StringLike", "repository", "*/app", False),
            ("StringLike", "job_workflow_ref", "acme/flows/.github/workflows/x.yml@*", True),
            ("StringLike", "job_workflow_ref", "*/flows/.github/workflows/x.yml@refs/heads/main", False),
            ("StringEquals", "enterprise_id", "4", True),
            ("StringEquals", "actor", "ana", False),
            ("StringEquals", "actor_id", "7", False),
            ("StringEquals", "ref", "refs/heads/main", False),
            ("StringEquals", "environment", "prod", False),
            ("StringEquals", "runner_environment", "self-hosted", False),
            ("StringEquals", "repository_visibility", "private", False),
            ("StringEquals", "aud", "sts.amazonaws.com", False),
            ("StringNotEquals", "repository_owner_id", "123456", False),
            # Without wildcards a star is a star: no owner has one in its name.
            ("StringEquals", "sub", "repo:acme*:*", True),
        )
    ),
    ("gitlab.com", "StringEquals", "namespace_id", "72", True),
    ("gitlab.com", "StringLike", "project_path", "acme/*", True),
    ("gitlab.com", "StringEquals", "aud", "https://gitlab.com", False),
    ("app.terraform.io", "StringEquals", "terraform_organization_id", "org-1", True),
    ("app.terraform.io", "StringEquals", "aud", "aws.workload.identity", False),
    ("agent.buildkite.com", "StringEquals", "organization_slug", "acme", True),
    ("api.pulumi.com/oidc", "StringEquals", "aud", "aws:acme", True),
    ("api.pulumi.com/oidc", "StringLike", "aud", "aws:*", False),
    ("oidc.vercel.com", "StringEquals", "aud", "https://vercel.com/acme", True),
    ("oidc.vercel.com", "StringLike", "aud", "https://vercel.com/*", False),
    ("accounts.google.com", "StringEquals", "aud", "123.apps.googleusercontent.com", True),
    ("accounts.google.com", "StringEquals", "oaud", "anything", False),
    ("accounts.google.com", "NumericEquals", "google/organization_number", "7", True),
    ("graph.facebook.com", "StringEquals", "app_id", "1", True),
    ("oidc.eks.eu-west-1.amazonaws.com/id/AB", "StringEquals", "aud", "sts.amazonaws.com", False),
    ("acme.auth0.com", "StringEquals", "aud", "client-1", True),
    ("oidc.circleci.com/org/1", "StringEquals", "oidc.circleci.com/project-id", "2", True),
    ("gitlab.com", "IpAddress", "aws:SourceIp", "192.0.2.0/24", True),
    ("gitlab.com", "IpAddress", "aws:SourceIp", "0.0.0.0/0", False),
]


def test_claim_restricts_where_it_names_the_tenant() -> None:
    wrong = []
    for url, operator, claim, value, limits in CLAIMS:
        key = claim if claim.startswith("aws:") else f"{url}:{claim}"
        for written in (key, key.upper()):
            if ("oidc_without_subject" in federation_of(url, {operator: {written: value}})) == limits:
                wrong += [(url, operator, written, value)]
    assert wrong == []


def test_microsofts_shared_tenant_is_restricted_by_the_name_of_the_session() -> None:
    url = "sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d/"
    subject = {"StringEquals": {f"{url}:sub": "x", f"{url}:aud": "y"}}
    assert federation_of(url, subject) == {"oidc_without_subject"}
    named = {"StringEquals": {**subject["StringEquals"], "sts:RoleSessionName": "MicrosoftSentinel_4f1b"}}
    assert federation_of(url, named) == set()


def test_unlisted_issuer_is_undecided_by_name_and_open_without_conditions() -> None:
    for url in ("id.example", "gitlab.acme.example", "oidc.acme.example/path", "xgitlab.com", "github.com"):
        trust = read(provider(url), {"StringEquals": {f"{url}:sub": "x"}})
        assert trust.flags == ("oidc_issuer_unknown",), url
        assert url in trust.sentences["oidc_issuer_unknown"]
        check = check_trust_policy(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": provider(url),
                        "Action": "sts:AssumeRoleWithWebIdentity",
                        "Condition": {"StringEquals": {f"{url}:sub": "x"}},
                    }
                ],
            },
            CONFIG,
        )
        assert (check.outcome, check.method, url in check.message) == ("warning", None, True)
        assert federation_of(url, {}) == {"oidc_without_subject"}
        assert federation_of(url, {"StringLike": {f"{url}:sub": "*"}}) == {"oidc_without_subject"}


def test_deny_of_other_subjects_restricts_too() -> None:
    url = "gitlab.com"
    deny = {"StringNotLike": {f"{url}:sub": "project_path:acme/*"}}
    assert "oidc_without_subject" not in read(provider(url), {}, denied=[deny]).flags
    lax = {"StringNotLike": {f"{url}:sub": "project_path:acme*"}}
    assert "oidc_without_subject" in read(provider(url), {}, denied=[lax]).flags


POOL = "cognito-identity.amazonaws.com"
GUESTS: list[tuple[dict[str, Any], str | None]] = [
    ({"ForAnyValue:StringLike": {f"{POOL}:amr": "unauthenticated"}}, "cognito_guests"),
    ({"ForAnyValue:StringEquals": {f"{POOL}:amr": ["unauthenticated"]}}, "cognito_guests"),
    ({"ForAllValues:StringEquals": {f"{POOL}:amr": "unauthenticated"}}, "cognito_guests"),
    ({"StringEquals": {f"{POOL}:AMR": "unauthenticated"}}, "cognito_guests"),
    ({"StringEqualsIgnoreCase": {f"{POOL}:amr": "UnAuthenticated"}}, "cognito_guests"),
    ({"StringLike": {f"{POOL}:amr": "*authenticated"}}, "cognito_guests"),
    ({"ForAnyValue:StringLike": {f"{POOL}:amr": ["authenticated", "unauthenticated"]}}, "cognito_guests"),
    ({"ForAnyValue:StringNotLike": {f"{POOL}:amr": "authenticated"}}, "cognito_guests"),
    ({"Null": {f"{POOL}:amr": "false"}}, "cognito_guests"),
    ({"ForAnyValue:StringLike": {f"{POOL}:amr": "authenticated"}}, None),
    ({"ForAnyValue:StringEquals": {f"{POOL}:amr": "graph.facebook.com"}}, None),
    ({"StringNotEquals": {f"{POOL}:amr": "unauthenticated"}}, None),
    ({"Null": {f"{POOL}:amr": "true"}}, None),
    ({}, "cognito_guests_undecided"),
]


def test_guests_of_an_identity_pool_are_distinguished_from_signed_in_people() -> None:
    wrong = []
    for condition, right in GUESTS:
        merged = {operator: dict(keys) for operator, keys in condition.items()}
        merged.setdefault("StringEquals", {})[f"{POOL}:aud"] = "eu-west-1:1"
        found = federation_of(POOL, merged)
        if found != ({right} if right else set()):
            wrong.append((condition, found))
    assert wrong == []
    aud = {"StringEquals": {f"{POOL}:aud": "eu-west-1:1"}}
    denied = read(provider(POOL), aud, denied=[{"ForAnyValue:StringEquals": {f"{POOL}:amr": "unauthenticated"}}])
    assert "cognito_guests_undecided" not in denied.flags
    one_identity = {"StringEquals": {f"{POOL}:aud": "eu-west-1:1", f"{POOL}:sub": "eu-west-1:2"}}
    assert federation_of(POOL, one_identity) == set()


def test_every_row_of_the_table_is_found_by_its_own_urls_and_no_private_one_hides_a_shared_one() -> None:
    for issuer in ISSUERS:
        for url in issuer.urls:
            sample = url.replace("**", "x/y").replace("*", "x1")
            assert find_issuer(sample) is issuer, (issuer.name, sample)
            assert find_issuer(f"{sample}/") is issuer
    names = [issuer.name for issuer in ISSUERS]
    assert len(names) == len(set(names))


# --- for all subjects -----------------------------------------------------------------------------------------------

PIECES = st.sampled_from([*"ab*?:/@", "repo:", "acme", "acme/", "ref", "${x}"])


@cheap
@given(st.lists(PIECES, min_size=1, max_size=8).map("".join))
def test_no_subject_that_limits_is_met_by_a_token_of_two_owners(pattern: str) -> None:
    """The judge is AWS's own matching: two owners whose tokens meet one pattern are not one tenant."""
    url = "token.actions.githubusercontent.com"
    owners = ("acme", "acme1", "a", "b", "ab", "acmeacme")
    contexts = ("ref:refs/heads/a", "ref", "environment:acme/")
    met = {
        owner
        for owner, repository, context in itertools.product(owners, ("a", "acme", "ref"), contexts)
        if _like(pattern.replace("${x}", "*"), f"repo:{owner}/{repository}:{context}")
    }
    if len(met) > 1:
        assert "oidc_without_subject" in read(provider(url), {"StringLike": {f"{url}:sub": pattern}}).flags


def _like(pattern: str, text: str) -> bool:
    reached = {0}
    for character in pattern:
        if character == "*":
            reached = set(range(min(reached, default=len(text) + 1), len(text) + 1))
        else:
            reached = {at + 1 for at in reached if at < len(text) and character in ("?", text[at])}
    return len(text) in reached


def test_every_flag_is_a_full_sentence() -> None:
    assert all(sentence.endswith(".") for sentence in FLAGS.values())
