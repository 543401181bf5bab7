"""Trust policies of roles: who may assume a role, by which call, under which conditions, and findings on that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, Literal

from pydantic import JsonValue

from .documents import EXTERNAL_ID, Condition, Policy, Statement, to_policy
from .issuers import TABLE_DATE, find_issuer
from .patterns import Pattern, covers
from .principals import (
    ASSUME_ROLE,
    ASSUME_WITH_WEB_IDENTITY,
    Origin,
    Principal,
    PrincipalKind,
    find_origin,
    to_principal,
)
from .restrictions import decide_federation, decide_guests, find_guard, is_restricted

FLAGS: Mapping[str, str] = MappingProxyType(
    {
        "account_access_manager": "Assigned by Account Access Manager: holders outside permission sets, unknown.",
        "cognito_guests": "Everybody on the internet may assume it: guests of an Amazon Cognito identity pool need no "
        "login, and the pool's ID is public.",
        "cognito_guests_undecided": "No condition on the claim amr shuts out guests of the Amazon Cognito identity "
        "pool: if the pool has guests, everybody on the internet may assume it.",
        "deleted_principal": "It trusts a user or role that was deleted; who that was is unknown.",
        "external_id_missing": "Another AWS account may assume it without an external ID.",
        "external_id_weak": "Its condition on the external ID can be met by more than one external ID, or by none.",
        "not_principal": "It names whom it does not mean (NotPrincipal), so whom it means is not known.",
        "oidc_issuer_unknown": "The connector does not know how the identity provider names its customers, so whether "
        f"a condition limits who may assume it is undecided (table of {TABLE_DATE}).",
        "oidc_without_subject": "Whoever the identity provider vouches for may assume it: no condition limits the "
        "subject.",
        "organization_role": "It has the name of a role that AWS Organizations or Control Tower makes. The account "
        "that it trusts may assume it without an external ID; whether that is of the own organization was not seen.",
        "unknown_principal": "It trusts a principal of a kind that is not known.",
        "weak_condition": "A condition can be met by a missing key or by any of many values.",
        "wildcard_principal": "It trusts everyone, save as conditions say.",
        "wildcard_unrestricted": "It trusts everyone, and no condition limits from where.",
    }
)
"""The findings by code, with their sentences. They are part of records: an edit changes every role that has one."""

ISSUER_UNKNOWN = "oidc_issuer_unknown"
ACCOUNT_ACCESS_MANAGER = "account-access.amazonaws.com"

_DISCLOSED_KEYS = frozenset(
    f"aws:{name}"
    for name in (
        *("principalorgid", "principalorgpaths", "sourceorgid", "sourceorgpaths", "sourceaccount", "sourcearn"),
        *("multifactorauthpresent", "multifactorauthage"),
    )
)
"""The keys whose values are disclosed. Of all others only the key is."""

_OIDC_CLAIM = re.compile(r"[^:]+\.[^:]+:(?:sub|aud)")
_MANY_VALUED = re.compile(r"aws:(?:principal|source)orgpaths|.+:amr|aws:principalservicenameslist")
_FOREIGN = frozenset({"account", "role", "user", "session", "federated_user"})


@dataclass(frozen=True, slots=True)
class RedactedCondition:
    """A condition, with its values only where they are no secret and name who is trusted."""

    key: str
    operator: str
    values: tuple[str, ...] = ()
    weaknesses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrustStatement:
    """One statement that admits a principal: by which calls, under which conditions, except for whom."""

    actions: tuple[str, ...]
    external_id: Literal["required", "weak", "absent"]
    conditions: tuple[RedactedCondition, ...] = ()
    denied_under: tuple[RedactedCondition, ...] = ()
    except_principals: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrustedPrincipal:
    """One principal that may assume the role, by one or more statements.

    `is_own_account` is None where the account is unknown: a service, anyone, a deleted principal, a public issuer.
    """

    kind: PrincipalKind
    id: str
    account: str | None
    is_own_account: bool | None
    statements: tuple[TrustStatement, ...]

    @property
    def flags(self) -> tuple[str, ...]:
        """The findings on any of its statements."""
        return tuple(sorted({flag for statement in self.statements for flag in statement.flags}))

    def to_attributes(self) -> dict[str, JsonValue]:
        """The attributes of its grant, as JSON; never an external id."""
        return {
            "principal_kind": self.kind,
            "is_own_account": self.is_own_account,
            "flags": list(self.flags),
            "ways": _to_json(self.statements),
        }


@dataclass(frozen=True, slots=True)
class Trust:
    """Who may assume a role. Where `undecided` is not empty, `trusted` may be incomplete."""

    trusted: tuple[TrustedPrincipal, ...]
    flags: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()

    @property
    def sentences(self) -> dict[str, str]:
        """The findings by code, each as a sentence; it names the identity providers that the table of issuers lacks."""
        unknown = [each.id for each in self.trusted if ISSUER_UNKNOWN in each.flags]
        named = {ISSUER_UNKNOWN: f" Identity provider: {', '.join(unknown)}."}
        return {flag: FLAGS[flag] + named.get(flag, "") for flag in self.flags}


def to_trust(document: object, role_arn: str, management_account: str | None = None) -> Trust:
    """Evaluate a trust policy.

    Args:
        document: As boto3 returns it: decoded, or the text that botocore failed to decode.
        role_arn: The role's ARN, which has its AWS account and partition.
        management_account: The organization's management account, where it is known.
    """
    policy = to_policy(document, is_trust=True)
    _, partition, _, _, account, _ = role_arn.split(":", 5)
    role = _Role(role_arn, partition, account, management_account)
    denies = [each for each in policy.statements if not each.is_allow]
    admitted: dict[Principal, dict[TrustStatement, None]] = {}
    for statement in policy.statements:
        if statement.is_allow:
            for principal, admitting in _find_admitted(statement, denies, role):
                admitted.setdefault(principal, {})[admitting] = None
    trusted = tuple(
        TrustedPrincipal(each.kind, each.id, each.account, _is_own(each, account), tuple(admitted[each]))
        for each in sorted(admitted, key=lambda each: (each.kind, each.id, each.is_federated))
    )
    not_principal = {"not_principal"} if any(map(_has_not_principal, policy.statements)) else set()
    return Trust(
        trusted,
        tuple(sorted({flag for each in trusted for flag in each.flags} | not_principal)),
        (*policy.unsupported, *_describe_not_principals(policy)),
    )


def _describe_not_principals(policy: Policy) -> Iterable[str]:
    for is_allow, effect in ((True, "allows"), (False, "denies")):
        if any(each.is_allow == is_allow and _has_not_principal(each) for each in policy.statements):
            yield f"A statement {effect} everyone but those it names (NotPrincipal): whom it means is not enumerated."


def _has_not_principal(statement: Statement) -> bool:
    return statement.principals is not None and statement.principals.is_negated


def _is_own(principal: Principal, account: str) -> bool | None:
    return None if principal.account is None else principal.account == account


def _principals(statement: Statement, partition: str) -> list[Principal]:
    """Return the principals that a statement names; none where it has NotPrincipal."""
    if statement.principals is None or statement.principals.is_negated:
        return []
    return [to_principal(kind, text, partition) for kind, text in statement.principals.pairs]


def covers_action(statement: Statement, action: str) -> bool:
    """Whether a statement covers an action. AWS ignores the letter case of actions."""
    pattern = Pattern(action.lower())
    is_listed = any(covers(Pattern(text.lower()), pattern) for text in statement.actions.texts)
    return is_listed != statement.actions.is_negated


def find_denials(
    denies: Iterable[Statement], principal: Principal, action: str, partition: str
) -> list[tuple[Condition, ...]]:
    """Return the conditions of each Deny that covers a principal completely and a call.

    Args:
        denies: The Deny statements.
        principal: The principal.
        action: The call.
        partition: That of the role's ARN.
    """
    return [
        deny.conditions
        for deny in denies
        if covers_action(deny, action) and any(other.includes(principal) for other in _principals(deny, partition))
    ]


@dataclass(frozen=True, slots=True)
class _Role:
    """The role of a trust policy, and its organization's management account where that is known."""

    arn: str
    partition: str
    account: str
    management_account: str | None


def _find_admitted(
    statement: Statement, denies: list[Statement], role: _Role
) -> Iterable[tuple[Principal, TrustStatement]]:
    """Yield each principal of a statement with each group of calls that the same Deny statements cover."""
    for principal in _principals(statement, role.partition):
        related = [deny for deny in denies if any(map(principal.overlaps, _principals(deny, role.partition)))]
        groups: dict[tuple[Statement, ...], list[str]] = {}
        for action in principal.assume_calls:
            if covers_action(statement, action):
                covering = tuple(deny for deny in related if covers_action(deny, action))
                groups.setdefault(covering, []).append(action)
        for covering, actions in groups.items():
            denials = find_denials(covering, principal, actions[0], role.partition)
            if () not in denials:
                yield principal, _admit(statement.conditions, covering, denials, principal, actions, role)


def _admit(
    conditions: tuple[Condition, ...],
    denies: Iterable[Statement],
    denials: list[tuple[Condition, ...]],
    principal: Principal,
    actions: list[str],
    role: _Role,
) -> TrustStatement:
    excluded = {
        other.id
        for deny in denies
        if not deny.conditions
        for other in _principals(deny, role.partition)
        if principal.includes(other)
    }
    return TrustStatement(
        actions=tuple(actions),
        external_id=external_id_of(conditions),
        conditions=tuple(map(_redact, conditions)),
        denied_under=tuple(dict.fromkeys(_redact(each) for deny in denies for each in deny.conditions)),
        except_principals=tuple(sorted(excluded)),
        flags=tuple(sorted(_flags(principal, actions, conditions, denials, role))),
    )


def _flags(
    principal: Principal,
    actions: list[str],
    conditions: tuple[Condition, ...],
    denials: list[tuple[Condition, ...]],
    role: _Role,
) -> Iterable[str]:
    external_id = external_id_of(conditions)
    is_foreign = principal.kind in _FOREIGN and _is_own(principal, role.account) is False
    lacks_external_id = is_foreign and ASSUME_ROLE in actions and external_id == "absent"
    origin: Origin = find_origin(role.arn, principal, role.management_account) if lacks_external_id else "other"
    guards = [guard for guard in map(find_guard, denials) if guard is not None]
    federation = decide_federation(principal.issuer, conditions, guards) if principal.kind == "oidc_provider" else None
    guests = {decide_guests(issuer, conditions, denials) for issuer in _issuers(principal, actions, conditions)}
    found = {
        "account_access_manager": (principal.kind, principal.id) == ("service", ACCOUNT_ACCESS_MANAGER),
        "cognito_guests": "admitted" in guests,
        # If the tokens of any pool are admitted, it does not matter whether one pool has guests.
        "cognito_guests_undecided": "perhaps" in guests and federation != "open",
        "deleted_principal": principal.kind == "deleted",
        "external_id_missing": lacks_external_id and origin == "other",
        "external_id_weak": external_id == "weak",
        ISSUER_UNKNOWN: federation == "undecided",
        "oidc_without_subject": federation == "open",
        "organization_role": origin == "unproven",
        "unknown_principal": principal.kind == "unknown",
        "weak_condition": any(map(_weaknesses, (each for each in conditions if not _is_external_id(each)))),
        "wildcard_principal": principal.kind == "anyone",
        "wildcard_unrestricted": principal.kind == "anyone" and not is_restricted(conditions, guards),
    }
    return (flag for flag, is_so in found.items() if is_so)


def _issuers(principal: Principal, actions: list[str], conditions: tuple[Condition, ...]) -> Iterable[str]:
    """Return the issuers whose tokens may be admitted: the trusted one, or those in the conditions on anyone."""
    if principal.kind == "oidc_provider":
        return (principal.issuer,)
    if principal.kind == "anyone" and ASSUME_WITH_WEB_IDENTITY in actions:
        return {each.key.partition(":")[0] for each in conditions}
    return ()


def _is_external_id(condition: Condition) -> bool:
    return condition.key.lower() == EXTERNAL_ID


def external_id_of(conditions: Iterable[Condition]) -> Literal["required", "weak", "absent"]:
    """Classify the external id of conditions: exactly one required, weak (one of many, or none), or absent."""
    found = [each for each in conditions if _is_external_id(each)]
    if any(each.operator_text == "StringEquals" and each.value_count == 1 for each in found):
        return "required"
    return "weak" if found else "absent"


def _redact(condition: Condition) -> RedactedCondition:
    key = condition.key.lower()
    issuer_url, _, claim = key.partition(":")
    issuer = find_issuer(issuer_url)
    names_tenant = issuer is not None and claim in issuer.claims
    is_disclosed = names_tenant or key in _DISCLOSED_KEYS or _OIDC_CLAIM.fullmatch(key)
    return RedactedCondition(
        condition.key, condition.operator_text, condition.values if is_disclosed else (), tuple(_weaknesses(condition))
    )


def _weaknesses(condition: Condition) -> list[str]:
    """Name how a request meets it without one exact value: a missing key, one of many values, any value."""
    found = {
        "if_exists": condition.if_exists,
        "for_all_values": condition.quantifier == "ForAllValues",
        "for_any_value": condition.quantifier == "ForAnyValue" and not _MANY_VALUED.fullmatch(condition.key.lower()),
        "anything": condition.matches_anything,
        "wildcard": condition.operator == "StringLike" and condition.has_wildcard and not condition.matches_anything,
    }
    return [name for name, is_so in found.items() if is_so]


def _to_json(value: Any) -> JsonValue:
    """Convert dataclasses to objects without their empty members, and tuples to lists."""
    if isinstance(value, tuple):
        return [_to_json(each) for each in value]
    if isinstance(value, str):
        return value
    members = ((each.name, getattr(value, each.name)) for each in fields(value))
    return {name: _to_json(member) for name, member in members if member != ()}
