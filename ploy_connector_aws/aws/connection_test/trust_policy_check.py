"""Check of the role's own trust policy: which principals it admits, and whether it requires the external ID.

The AssumeRole checks show what AWS does for one external ID, and without one; the document shows every other entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ploy_connector_aws.aws.policy.documents import EXTERNAL_ID, Condition, Statement, to_policy
from ploy_connector_aws.aws.policy.principals import ASSUME_CALLS, ASSUME_ROLE, Principal, to_principal
from ploy_connector_aws.aws.policy.restrictions import find_accounts, find_guard, is_of_organization, is_restricted
from ploy_connector_aws.aws.policy.trust import (
    FLAGS,
    ISSUER_UNKNOWN,
    TrustedPrincipal,
    covers_action,
    external_id_of,
    find_denials,
    to_trust,
)
from ploy_connector_aws.config import PLOY_ACCOUNT_ID, PLOY_PARTITION, AwsConfig
from ploy_connector_aws.spec import Check

from .evidence import Evidence

TRUST_POLICY = "trust-policy"

EXTERNAL_ID_PLACEHOLDER = "<the external ID that Ploy shows>"
"""Stands for the external ID, which is never printed."""

_ANYONE = Principal("anyone", "*")
_PLOY = Principal("account", f"arn:{PLOY_PARTITION}:iam::{PLOY_ACCOUNT_ID}:root", PLOY_ACCOUNT_ID)

_DOCUMENT = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": _PLOY.id},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID_PLACEHOLDER}},
        }
    ],
}

TRUST_POLICY_FIX = (
    f"Replace the role's trust policy by this one: {json.dumps(_DOCUMENT, separators=(',', ':'))} The set-up shows it "
    "complete, with the external ID, in its step 'The role'; so does ploy-connector setup --print trust-policy"
)
"""Fix for every trust policy."""

_NAMED = 3
"""How many findings a message names."""


@dataclass(frozen=True)
class Finding:
    """One issue: if another party gets in without the external ID, it fails the check, otherwise it is a warning."""

    outcome: Literal["failed", "warning"]
    message: str
    is_undecided: bool = False
    """Whether the policy alone does not decide who is admitted: it may be anyone."""


def check_own_trust_policy(evidence: Evidence) -> Check:
    """Check the trust policy that was read; if it was not, warn, because nothing confirms the AssumeRole checks."""
    if evidence.role is not None:
        return check_trust_policy(evidence.role.trust_document, evidence.config)
    return Check(
        name=TRUST_POLICY,
        outcome="warning",
        message="The role's own trust policy could not be read, so it is unknown whom it admits beside Ploy, and "
        f"whether it accepts an external ID other than those that were tried. {evidence.read_problem}".rstrip(),
        fix=evidence.read_fix,
        request_id=evidence.read_failure.request_id if evidence.read_failure else None,
    )


def check_trust_policy(document: object, config: AwsConfig) -> Check:
    """Check a trust policy of the role.

    Args:
        document: The document as boto3 returns it.
        config: The integration's settings; the external ID in them is compared and never printed.
    """
    not_understood = (
        Finding("warning", each, is_undecided=True) for each in to_policy(document, is_trust=True).unsupported
    )
    found = list(dict.fromkeys([*not_understood, *_findings(document, config)]))
    if not found:
        return Check(
            name=TRUST_POLICY,
            outcome="passed",
            message="The role's trust policy admits only Ploy's account, and only with exactly this external ID.",
            method="evaluated",
        )
    failures = [each for each in found if each.outcome == "failed"]
    messages = [each.message for each in failures or found]
    more = f" And {len(messages) - _NAMED} more." if len(messages) > _NAMED else ""
    return Check(
        name=TRUST_POLICY,
        outcome="failed" if failures else "warning",
        message=" ".join(["The role's trust policy:", *messages[:_NAMED]]) + more,
        fix=TRUST_POLICY_FIX if failures else f"Leave it if this is intended. Otherwise: {TRUST_POLICY_FIX}",
        # An undecided policy may admit anyone, so nothing is evaluated then, except what fails anyway.
        method=None if any(each.is_undecided for each in found) and not failures else "evaluated",
        is_blocking=bool(failures),
    )


def _findings(document: object, config: AwsConfig) -> Iterator[Finding]:
    trust = to_trust(document, config.role_arn)
    external_id = config.external_id.get_secret_value()
    statements = list(_statements(document))
    is_guarded = any(_guards(raw, statement, external_id) for raw, statement in statements)
    entries = [each for each in statements if each[1].is_allow and _allows_entry(each[1])]
    if not any(_is_negated(statement) or _admits_ploy(statement) for _, statement in entries):
        yield Finding("warning", "It does not admit Ploy's account; it may have been changed just now.")
    for raw, statement in entries:
        if statement.principals is None or statement.principals.is_negated:
            yield Finding("failed", "A statement admits everyone except those it names (NotPrincipal).")
        elif _admits_ploy(statement) and not is_guarded:
            yield from _weaknesses(raw, external_id)
    is_anyone_admitted = any(each.kind == "anyone" for each in trust.trusted)
    for _, statement in entries if is_anyone_admitted else ():
        if any(each.kind == "anyone" for each in _principals(statement)):
            yield from _check_anyone(statement, [each for _, each in statements if not each.is_allow], config)
    for trusted in trust.trusted:
        is_covered = trusted.kind == "anyone" and "cognito_guests" not in trusted.flags
        if not is_covered and trusted.account != PLOY_ACCOUNT_ID:
            yield _check_other(trusted)


def _check_anyone(statement: Statement, denies: list[Statement], config: AwsConfig) -> Iterator[Finding]:
    """Check a statement with `Principal: *`; if its conditions name AWS accounts, it admits only these."""
    accounts = find_accounts(statement.conditions)
    if accounts is None:
        open_to = [
            entry
            for entry in ASSUME_CALLS
            if covers_action(statement, entry)
            and _is_open(statement, find_denials(denies, _ANYONE, entry, PLOY_PARTITION))
        ]
        by_calls = f" by {' and '.join(open_to)}" if open_to else " who meets its conditions"
        whom = ", of any AWS account" if ASSUME_ROLE in open_to else by_calls
        yield Finding("failed" if open_to else "warning", f"It admits everyone (Principal *){whom}.")
    for account in sorted((accounts or frozenset()) - {PLOY_ACCOUNT_ID}):
        if account == config.account_id or external_id_of(statement.conditions) == "required":
            yield Finding("warning", f"It admits everyone of the AWS account {account}, too.")
        else:
            yield Finding("failed", f"It admits everyone of another AWS account, {account}, without an external ID.")


def _is_open(statement: Statement, denials: list[tuple[Condition, ...]]) -> bool:
    """Whether a statement with `Principal: *` admits callers of any AWS account in spite of these Deny statements."""
    guards = [guard for guard in map(find_guard, denials) if guard is not None]
    return () not in denials and not is_restricted(statement.conditions, guards)


def _check_other(trusted: TrustedPrincipal) -> Finding:
    """Check a principal that is admitted beside Ploy."""
    is_foreign = trusted.is_own_account is False
    for flag, applies, reason in (
        ("external_id_missing", True, ", of another AWS account, without an external ID"),
        ("organization_role", True, ", of another AWS account, without an external ID"),
        ("external_id_weak", is_foreign, ", of another AWS account, by more than one external ID or by none"),
        ("oidc_without_subject", True, " for every subject of that provider, because no condition limits the subject"),
        ("cognito_guests", True, " for everyone on the internet, because guests of the identity pool need no login"),
    ):
        if applies and flag in trusted.flags:
            return Finding("failed", f"It admits {trusted.id}{reason}.")
    for flag in (ISSUER_UNKNOWN, "cognito_guests_undecided"):
        if flag in trusted.flags:
            return Finding("warning", f"It admits {trusted.id}, too. {FLAGS[flag]}", is_undecided=True)
    return Finding("warning", f"It admits {trusted.id}, too.")


def _statements(document: object) -> Iterator[tuple[Mapping[str, Any], Statement]]:
    """Pair each raw statement with the parsed one, which lacks the external IDs."""
    if not isinstance(document, Mapping):
        return
    raw_statements = document.get("Statement", [])
    for raw in raw_statements if isinstance(raw_statements, list) else [raw_statements]:
        for statement in to_policy({**document, "Statement": raw}, is_trust=True).statements:
            yield raw, statement


def _principals(statement: Statement) -> list[Principal]:
    pairs = statement.principals.pairs if statement.principals else ()
    return [to_principal(kind, text, PLOY_PARTITION) for kind, text in pairs]


def _allows_entry(statement: Statement) -> bool:
    return any(covers_action(statement, entry) for entry in ASSUME_CALLS)


def _is_negated(statement: Statement) -> bool:
    return statement.principals is not None and statement.principals.is_negated


def _admits_ploy(statement: Statement) -> bool:
    accounts = find_accounts(statement.conditions)
    # An organization that conditions name is the customer's, and Ploy is not part of it.
    is_anyone_ploy = PLOY_ACCOUNT_ID in accounts if accounts else not is_of_organization(statement.conditions)
    return any(_covers_ploy(each) and (each.kind != "anyone" or is_anyone_ploy) for each in _principals(statement))


def _covers_ploy(principal: Principal) -> bool:
    return principal.account == PLOY_ACCOUNT_ID or (principal.kind == "anyone" and not principal.is_federated)


def _guards(raw: Mapping[str, Any], statement: Statement, external_id: str) -> bool:
    """Whether a Deny excludes all of Ploy's account without this external ID: as good as a condition."""
    return (
        not statement.is_allow
        and covers_action(statement, ASSUME_CALLS[0])
        and _means_all_of_ploy(statement)
        and len(statement.conditions) == 1
        and list(_conditions(raw)) == [("StringNotEquals", (external_id,))]
    )


def _means_all_of_ploy(statement: Statement) -> bool:
    """Whether a statement is about all of Ploy's account; as an exception, even one principal of it is too many."""
    principals = _principals(statement)
    if _is_negated(statement):
        return all(each.account not in (None, PLOY_ACCOUNT_ID) for each in principals)
    return any(each.includes(_PLOY) for each in principals)


def _weaknesses(raw: Mapping[str, Any], external_id: str) -> list[Finding]:
    """List issues with how a statement requires the external ID of Ploy: one strong condition is enough."""
    found = [_weakness(written, values, external_id) for written, values in _conditions(raw)]
    if None in found:
        return []
    weak = [each for each in found if each is not None]
    by_severity = sorted(weak, key=lambda each: each.outcome != "warning")
    return by_severity[:1] or [Finding("failed", "It admits Ploy without an external ID.")]


def _weakness(written: str, values: tuple[str, ...], external_id: str) -> Finding | None:
    quantifier, _, name = written.rpartition(":")
    operator = name.removesuffix("IfExists")
    if operator != name or quantifier == "ForAllValues":
        return Finding("failed", f"Its condition {written} is also met without any external ID.")
    if operator not in ("StringEquals", "StringEqualsIgnoreCase", "StringLike"):
        return Finding("failed", f"Its condition {written} does not require one exact external ID.")
    if operator == "StringLike" and any({"*", "?"} & set(value) for value in values):
        return Finding("failed", "Its condition StringLike with a wildcard accepts other external IDs, too.")
    # StringEqualsIgnoreCase accepts any case of it.
    required, own = (
        ({value.casefold() for value in values}, external_id.casefold())
        if operator == "StringEqualsIgnoreCase"
        else (set(values), external_id)
    )
    if required != {own}:
        others = "other external IDs, too" if own in required else "another external ID than this integration's"
        return Finding("failed", f"It accepts {others}.")
    if written != "StringEquals":
        return Finding("warning", f"It requires the external ID by {written}; StringEquals is the exact operator.")
    return None


def _conditions(raw: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Return the operators and values of a statement's conditions on the external ID."""
    for written, keys in raw.get("Condition", {}).items():
        for key, values in keys.items():
            if key.lower() == EXTERNAL_ID:
                yield written, tuple(map(str, values if isinstance(values, list) else [values]))
