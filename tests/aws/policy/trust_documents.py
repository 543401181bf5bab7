"""Trust policies as the tests of their conditions write them, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ploy_connector_aws.aws.policy.trust import Trust, to_trust

ROLE = "arn:aws:iam::111122223333:role/subject"
UNDECIDED = {"oidc_issuer_unknown", "cognito_guests_undecided"}
TELLING = {"oidc_without_subject", "cognito_guests", "wildcard_unrestricted"}
_WITHOUT_ARN = ("accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com")


def read(principal: Any, *conditions: Any, denied: Iterable[Any] = ()) -> Trust:
    """Read a trust policy with one Allow a condition, and a Deny of everyone for each of the others."""
    statements = [
        {"Effect": effect, "Principal": whom, "Action": "sts:*", "Condition": condition}
        for effect, whom, each in (("Allow", principal, conditions), ("Deny", "*", denied))
        for condition in each
    ]
    return to_trust({"Version": "2012-10-17", "Statement": statements}, ROLE)


def provider(url: str) -> dict[str, str]:
    """The principal of an OpenID Connect provider."""
    return {"Federated": url if url in _WITHOUT_ARN else f"arn:aws:iam::111122223333:oidc-provider/{url}"}


def federation_of(url: str, *conditions: Any) -> set[str]:
    """The flags that decide who of an issuer may assume the role."""
    return set(read(provider(url), *conditions).flags) & (TELLING | UNDECIDED)


def admits_anyone(condition: Any, denied: Iterable[Any] = ()) -> bool:
    """Whether a statement for everyone is said to be limited by nothing."""
    return "wildcard_unrestricted" in read("*", condition, denied=denied).flags
