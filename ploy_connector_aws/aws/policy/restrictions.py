"""Restrictions by the conditions of a trust policy: of callers to AWS accounts, of tokens to tenants.

A condition restricts only if all values that meet it belong to one known party. Values that anyone can have restrict
nothing: any organization's id (`o-*`), any ARN (`arn:aws:*`), any address, an external ID, a missing key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Literal, TypeAlias

from .documents import Condition
from .issuers import UNAUTHENTICATED, Issuer, find_issuer
from .patterns import Pattern, covers, matches

Guard: TypeAlias = tuple[Condition, ...]
"""What a Deny leaves: each caller that it does not deny meets at least one of these conditions."""

Federation: TypeAlias = Literal["limited", "open", "undecided"]
"""Whether a statement admits the callers of one tenant of an issuer, of any, or of an issuer that the table lacks."""

Guests: TypeAlias = Literal["none", "perhaps", "admitted"]
"""Whether a statement admits guests of an identity pool: `perhaps` where only the pool's own settings decide."""

_EXACT = frozenset({"StringEquals", "StringEqualsIgnoreCase", "NumericEquals"})
_WITH_WILDCARDS = frozenset({"StringLike", "ArnEquals", "ArnLike"})
_POSITIVE = _EXACT | _WITH_WILDCARDS | {"IpAddress"}
_NEGATIONS: Mapping[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
}

# Prefixes of values, up to the first wildcard, for which all values with the prefix belong to one party. The keys are
# those by which AWS itself counts a policy as not public (S3 user guide, "The meaning of 'public'") and newer ones of
# their kind. An external ID is not among them: AWS does not treat it as a secret (IAM user guide, "The confused deputy
# problem").
_NEVER = re.compile(r"(?!)")
_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
_ORGANIZATION_PATH = re.compile(r"o-[a-z0-9]+/")
# ARNs of S3 lack the account, but names of buckets are unique; the first five parts of an ARN have no colon.
_ARN = re.compile(r"arn:[\w-]+:(?:[\w.-]+:[\w-]*:\d{12}|s3:::[^/]+/)")
_BEGINNINGS: Mapping[str, re.Pattern[str]] = {
    **dict.fromkeys(("aws:principalaccount", "aws:sourceaccount", "aws:vpceaccount"), _NEVER),
    **dict.fromkeys(("aws:principalorgid", "aws:sourceorgid", "aws:vpceorgid"), _ORGANIZATION),
    **dict.fromkeys(("aws:principalorgpaths", "aws:sourceorgpaths", "aws:vpceorgpaths"), _ORGANIZATION_PATH),
    **dict.fromkeys(("aws:principalarn", "aws:sourcearn"), _ARN),
    # A role's or user's unique id, or the account of a federated user (IAM user guide, "IAM identifiers").
    "aws:userid": re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}|\d{12}:"),
    "aws:sourceip": re.compile(r"\d{1,3}\.|[0-9a-fA-F]{1,4}:[0-9a-fA-F]{1,4}:"),
    **dict.fromkeys(("aws:sourcevpc", "aws:ec2instancesourcevpc"), re.compile(r"vpc-[0-9a-f]{8,}")),
    "aws:sourcevpce": re.compile(r"vpce-[0-9a-f]{8,}"),
}
_OWN_VARIABLES: Mapping[str, str] = {"${aws:resourceaccount}": "000000000000", "${aws:resourceorgid}": "o-0000000000"}
"""Variables that stand for the role's own account and organization for every caller, with a text of their form."""

_SERVICE_EXEMPTIONS = frozenset({"aws:principalisawsservice", "aws:viaawsservice"})
"""Keys by which a Deny exempts calls of AWS's own services."""

# AWS counts broader networks as public (S3 user guide, "The meaning of 'public'").
_BROADEST = {IPv4Network: 8, IPv6Network: 32}

_ACCOUNTS: Mapping[str, re.Pattern[str]] = {
    "aws:principalaccount": re.compile(r"(\d{12})"),
    "aws:principalarn": re.compile(r"arn:[\w-]+:\w+::(\d{12}):.*", re.DOTALL),
}
"""Condition keys that name the caller's AWS account, and how a value names it."""

_VARIABLE = re.compile(r"\$\{[^}]*\}")
_PIECE = re.compile(r"\$\{[^}]*\}|.", re.DOTALL)
_LITERALS = {"${*}": "*", "${?}": "?", "${$}": "$"}
_ARN_SEGMENTS = 6


def is_restricted(conditions: Iterable[Condition], guards: Iterable[Guard] = ()) -> bool:
    """Whether conditions limit callers to some AWS account, organization, network or tenant.

    Args:
        conditions: Those of one statement, which a caller must all meet.
        guards: What Deny statements leave of it.
    """
    return _is_met_by_one_party(conditions, guards, _restricts)


def decide_federation(issuer_url: str, conditions: Iterable[Condition], guards: Iterable[Guard] = ()) -> Federation:
    """Decide whose tokens of an OpenID Connect issuer meet a statement's conditions.

    Args:
        issuer_url: The issuer's URL without `https://`.
        conditions: Those of one statement.
        guards: What Deny statements leave of it.
    """
    issuer = find_issuer(issuer_url)
    keys = _issuer_keys(issuer_url)

    def limits(condition: Condition, present: frozenset[str]) -> bool:
        claim = _claim_of(condition, keys)
        if claim is None and condition.key.lower().startswith("aws:"):
            return _restricts(condition, present)
        if issuer is None:
            return claim is not None and not any(_is_everything("*", condition, value) for value in condition.values)
        return _limits_tenant(issuer, claim if claim is not None else condition.key.lower(), condition)

    if not _is_met_by_one_party(conditions, guards, limits):
        return "open"
    return "limited" if issuer is not None else "undecided"


def decide_guests(
    issuer_url: str, conditions: Iterable[Condition], denials: Iterable[tuple[Condition, ...]] = ()
) -> Guests:
    """Decide whether guests of an Amazon Cognito identity pool, who need no login, meet a statement's conditions.

    Args:
        issuer_url: The issuer's URL without `https://`.
        conditions: Those of one statement.
        denials: The conditions of each Deny of what the statement allows.
    """
    issuer = find_issuer(issuer_url)
    if issuer is None or not issuer.has_guests:
        return "none"
    keys = _issuer_keys(issuer_url)

    def is_denied(denial: tuple[Condition, ...]) -> bool:
        return all(_claim_of(each, keys) == "amr" and _is_met_by_guest(each) for each in denial)

    by_claim = [(_claim_of(each, keys), each) for each in conditions]
    is_of_one_identity = any(
        claim == "sub" and _is_needed(each, frozenset()) and _limits_tenant(issuer, claim, each)
        for claim, each in by_claim
    )
    about_login = [each for claim, each in by_claim if claim == "amr"]
    if is_of_one_identity or any(map(is_denied, denials)) or not all(map(_is_met_by_guest, about_login)):
        return "none"
    return "admitted" if about_login else "perhaps"


def find_guard(conditions: Iterable[Condition]) -> Guard | None:
    """Find the conditions of which each caller meets at least one that a Deny does not apply to.

    Args:
        conditions: Those of one Deny, which applies only where a caller meets all of them.

    Returns:
        The conditions; None where one of them exempts other callers.
    """
    left = []
    for each in conditions:
        if each.key.lower() in _SERVICE_EXEMPTIONS and each.operator == "Bool" and each.values == ("false",):
            continue
        # A request without the key does not meet ForAnyValue, so the Deny would not apply to a caller without it.
        if each.operator not in _NEGATIONS or each.quantifier == "ForAnyValue":
            return None
        left.append(replace(each, operator=_NEGATIONS[each.operator], quantifier=None, if_exists=False))
    return tuple(left) or None


def find_accounts(conditions: Iterable[Condition]) -> frozenset[str] | None:
    """Find the AWS accounts to whose callers conditions limit a statement; None where they name none."""
    for each in _select_restricting(conditions):
        form = _ACCOUNTS.get(each.key.lower())
        found = [form.fullmatch(value) for value in each.values] if form else []
        if found and all(found):
            return frozenset(match[1] for match in found if match)
    return None


def is_of_organization(conditions: Iterable[Condition]) -> bool:
    """Whether conditions limit a statement to callers of some AWS organization that they name."""
    keys = ("aws:principalorgid", "aws:principalorgpaths")
    return any(each.key.lower() in keys for each in _select_restricting(conditions))


def _select_restricting(conditions: Iterable[Condition]) -> list[Condition]:
    conditions = list(conditions)
    present = _present(conditions)
    return [each for each in conditions if _restricts(each, present)]


_Rule: TypeAlias = Callable[[Condition, frozenset[str]], bool]


def _is_met_by_one_party(conditions: Iterable[Condition], guards: Iterable[Guard], rule: _Rule) -> bool:
    conditions = list(conditions)
    present = _present(conditions)

    def limits(condition: Condition) -> bool:
        return _is_needed(condition, present) and rule(condition, present)

    return any(map(limits, conditions)) or any(all(map(limits, guard)) for guard in guards)


def _present(conditions: Iterable[Condition]) -> frozenset[str]:
    """Return the keys that another condition requires: `Null` with the value false."""
    return frozenset(
        each.key.lower()
        for each in conditions
        if each.operator == "Null" and not each.if_exists and each.quantifier is None and each.values == ("false",)
    )


def _is_needed(condition: Condition, present: frozenset[str]) -> bool:
    """Whether a request must have the key, with one of the values, to meet the condition."""
    may_lack = condition.if_exists or condition.quantifier == "ForAllValues"
    return condition.operator in _POSITIVE and (not may_lack or condition.key.lower() in present)


def _restricts(condition: Condition, present: frozenset[str]) -> bool:
    if not _is_needed(condition, present):
        return False
    key = condition.key.lower()
    if condition.operator == "IpAddress":
        return key == "aws:sourceip" and _is_narrow(condition.values)
    if key in _BEGINNINGS:
        return all(_is_of_one_party(condition, _BEGINNINGS[key], value) for value in condition.values)
    issuer_url, _, claim = key.partition(":")
    issuer = find_issuer(issuer_url)
    return issuer is not None and _limits_tenant(issuer, claim, condition)


def _is_of_one_party(condition: Condition, form: re.Pattern[str], value: str) -> bool:
    text = _VARIABLE.sub(lambda found: _OWN_VARIABLES.get(found[0].lower(), found[0]), value)
    if condition.operator.startswith("Arn"):
        return _names_account(_VARIABLE.sub(lambda found: _LITERALS.get(found[0], "*"), text))
    beginning, is_whole = _beginning(condition, text)
    return is_whole or form.match(beginning) is not None


def _names_account(value: str) -> bool:
    """Whether a pattern of an Arn operator names an account: no wildcard matches a colon of its first parts."""
    parts = value.split(":", _ARN_SEGMENTS - 1)
    if len(parts) < _ARN_SEGMENTS:
        return False
    if parts[4]:
        return not {"*", "?"} & set(parts[4])
    return parts[2] == "s3" and not {"*", "?"} & set(parts[5].partition("/")[0])


def _is_narrow(values: tuple[str, ...]) -> bool:
    try:
        networks = [ip_network(value, strict=False) for value in values]
    except ValueError:
        return False
    for kind, broadest in _BROADEST.items():
        own = [each for each in networks if isinstance(each, kind)]
        if any(each.prefixlen < broadest for each in collapse_addresses(own)):  # type: ignore[type-var]
            return False
    return True


def _beginning(condition: Condition, value: str) -> tuple[str, bool]:
    """Return a value up to its first wildcard or variable, and whether it has neither."""
    text = ""
    for piece in _PIECE.findall(value):
        is_wildcard = piece in "*?" and condition.operator in _WITH_WILDCARDS
        is_variable = len(piece) > 1 and piece not in _LITERALS
        if is_wildcard or is_variable:
            return text, False
        text += _LITERALS.get(piece, piece)
    return text, True


def _issuer_keys(issuer_url: str) -> tuple[str, ...]:
    """Return the prefixes of an issuer's condition keys; some URLs end with a slash that not all policies write."""
    url = issuer_url.lower().rstrip("/")
    return f"{url}:", f"{url}/:"


def _claim_of(condition: Condition, keys: tuple[str, ...]) -> str | None:
    key = condition.key.lower()
    return next((key.removeprefix(each) for each in keys if key.startswith(each)), None)


def _limits_tenant(issuer: Issuer, claim: str, condition: Condition) -> bool:
    """Whether all tokens that meet a condition on a claim are of one tenant, or of a private issuer not all tokens."""
    if issuer.is_private:
        is_about_caller = ":" not in claim and claim not in issuer.constant
        return is_about_caller and not any(
            _is_everything(issuer.subjects, condition, value) for value in condition.values
        )
    forms = issuer.claims.get(claim, ())
    return bool(forms) and all(
        any(form.names_tenant(beginning, is_whole=is_whole) for form in forms)
        for beginning, is_whole in (_beginning(condition, value) for value in condition.values)
    )


def _is_everything(subjects: str, condition: Condition, value: str) -> bool:
    """Whether all subjects of this form match a value; nearly all match a text of only wildcards."""
    if condition.operator not in _WITH_WILDCARDS:
        return _beginning(condition, value) == ("", False)
    return not _VARIABLE.sub("*", value).strip("*?") or covers(Pattern(value), Pattern(subjects))


def _is_met_by_guest(condition: Condition) -> bool:
    """Evaluate a condition on `amr` for a guest's token, which has one value of it."""
    operator = _NEGATIONS.get(condition.operator, condition.operator)
    if operator == "Null":
        return condition.values == ("false",)
    if operator not in ("StringEquals", "StringEqualsIgnoreCase", "StringLike"):
        return True
    is_named = any(
        matches(value, UNAUTHENTICATED)
        if operator == "StringLike"
        else UNAUTHENTICATED in ((value.lower(),) if operator == "StringEqualsIgnoreCase" else (value,))
        for value in condition.values
    )
    return is_named != (condition.operator in _NEGATIONS)
