"""Trust policies for tests of conditions, and their flags."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ploy_connector_aws.aws.policy.trust import Trust, to_trust

ROLE = "arn:aws:iam::111122223333:role/subject"
UNDECIDED_FLAGS = {"oidc_issuer_unknown", "cognito_guests_undecided"}
OPEN_FLAGS = {"oidc_without_subject", "cognito_guests", "wildcard_unrestricted"}
_WITHOUT_ARN = ("accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com")


def read(principal: Any, *conditions: Any, denied: Iterable[Any] = ()) -> Trust:
    """Evaluate a trust policy with one Allow for each condition, and one Deny of everyone for each of `denied`."""
    statements = [
        {"Effect": effect, "Principal": named, "Action": "sts:*", "Condition": condition}
        for effect, named, each in (("Allow", principal, conditions), ("Deny", "*", denied))
        for condition in each
    ]
    return to_trust({"Version": "2012-10-17", "Statement": statements}, ROLE)


def provider(url: str) -> dict[str, str]:
    """The principal of an OpenID Connect provider."""
    return {"Federated": url if url in _WITHOUT_ARN else f"arn:aws:iam::111122223333:oidc-provider/{url}"}


def federation_of(url: str, *conditions: Any) -> set[str]:
    """The flags that decide who of an issuer may assume the role."""
    return set(read(provider(url), *conditions).flags) & (OPEN_FLAGS | UNDECIDED_FLAGS)


def admits_anyone(condition: Any, denied: Iterable[Any] = ()) -> bool:
    """Whether a statement for everyone has the flag that nothing restricts it."""
    return "wildcard_unrestricted" in read("*", condition, denied=denied).flags
