"""Policy documents: parsing, and the decision on an action on a resource. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from .conditions import Condition, to_conditions
from .patterns import Context, matches, matches_arn, substituted

VERSIONS = frozenset({"2012-10-17", "2008-10-17"})


class MalformedPolicyError(ValueError):
    """The document is not a policy that AWS would accept."""


class Decision(Enum):
    """The decision of a set of policies; an explicit deny overrides every allow."""

    ALLOWED = "allowed"
    NOT_MENTIONED = "not mentioned"
    DENIED = "denied"


@dataclass(frozen=True)
class Choice:
    """A list of patterns, or (`is_negated`) everything but them."""

    patterns: tuple[str, ...]
    is_negated: bool = False


@dataclass(frozen=True)
class Statement:
    """One statement; `principals` is None in identity policies, `resources` None in trust policies."""

    is_allow: bool
    actions: Choice
    resources: Choice | None
    principals: Choice | None
    conditions: tuple[Condition, ...]

    def covers_action(self, action: str) -> bool:
        """Actions match without regard to case."""
        found = any(matches(pattern, action, ignore_case=True) for pattern in self.actions.patterns)
        return found != self.actions.is_negated

    def covers_resource(self, resource: str, context: Context) -> bool:
        """True where the statement has no resource: a trust policy is about its own role."""
        if self.resources is None:
            return True
        patterns = (substituted(pattern, context) for pattern in self.resources.patterns)
        found = any(pattern is not None and matches_arn(pattern, resource) for pattern in patterns)
        return found != self.resources.is_negated

    def applies(self, action: str, resource: str, context: Context) -> bool:
        """True if action, resource and every condition match; the caller checks the principals."""
        return (
            self.covers_action(action)
            and self.covers_resource(resource, context)
            and all(condition.holds(context) for condition in self.conditions)
        )


@dataclass(frozen=True)
class Policy:
    """The statements of one document."""

    statements: tuple[Statement, ...]


def decide(policies: Iterable[Policy], action: str, resource: str, context: Context) -> Decision:
    """The decision of identity-type policies (identity, session, boundary, service control) together."""
    allowed = False
    for policy in policies:
        for statement in policy.statements:
            if statement.is_allow and allowed:
                continue
            if statement.applies(action, resource, context):
                if not statement.is_allow:
                    return Decision.DENIED
                allowed = True
    return Decision.ALLOWED if allowed else Decision.NOT_MENTIONED


@lru_cache(maxsize=4096)
def to_policy(text: str) -> Policy:
    """Parses an identity-type policy; each document is parsed once.

    Raises:
        MalformedPolicyError: it is not one.
    """
    return Policy(tuple(_statement(raw, is_trust=False) for raw in _raw_statements(text)))


@lru_cache(maxsize=4096)
def to_trust_policy(text: str) -> Policy:
    """Parses a role's trust policy; each document is parsed once.

    Raises:
        MalformedPolicyError: it is not one.
    """
    return Policy(tuple(_statement(raw, is_trust=True) for raw in _raw_statements(text)))


def _raw_statements(text: str) -> list[Mapping[str, Any]]:
    try:
        document = json.loads(text)
    except ValueError:
        raise MalformedPolicyError("This policy contains invalid Json") from None
    if not isinstance(document, dict) or "Statement" not in document:
        raise MalformedPolicyError("Syntax errors in policy.")
    if document.get("Version", "2008-10-17") not in VERSIONS or document.keys() - {"Version", "Id", "Statement"}:
        raise MalformedPolicyError("Syntax errors in policy.")
    statements = document["Statement"]
    statements = statements if isinstance(statements, list) else [statements]
    if not statements or not all(isinstance(statement, dict) for statement in statements):
        raise MalformedPolicyError("Syntax errors in policy.")
    return statements


_ELEMENTS = {
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Principal",
    "NotPrincipal",
    "Condition",
}


def _statement(raw: Mapping[str, Any], *, is_trust: bool) -> Statement:
    actions, resources = _choice(raw, "Action"), _choice(raw, "Resource")
    principals = _choice(raw, "Principal")
    if raw.get("Effect") not in ("Allow", "Deny") or raw.keys() - _ELEMENTS:
        raise MalformedPolicyError("Syntax errors in policy.")
    if actions is None or not all(pattern == "*" or ":" in pattern for pattern in actions.patterns):
        raise MalformedPolicyError("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    if is_trust and (principals is None or resources is not None):
        raise MalformedPolicyError("Has prohibited field Resource" if resources else "Missing required field Principal")
    if not is_trust and principals is not None:
        raise MalformedPolicyError("Policy document should not specify a principal.")
    if not is_trust and resources is None:
        raise MalformedPolicyError("Policy statement must contain resources.")
    block = raw.get("Condition", {})
    if not isinstance(block, dict) or not all(isinstance(keys, dict) for keys in block.values()):
        raise MalformedPolicyError("Syntax errors in policy.")
    return Statement(raw["Effect"] == "Allow", actions, resources, principals, to_conditions(block))


def _choice(raw: Mapping[str, Any], name: str) -> Choice | None:
    if name in raw and f"Not{name}" in raw:
        raise MalformedPolicyError("Syntax errors in policy.")
    for key, is_negated in ((name, False), (f"Not{name}", True)):
        if key in raw:
            return Choice(tuple(_texts(raw[key])), is_negated)
    return None


def _texts(value: Any) -> list[str]:
    """Patterns; a principal keeps its kind: `AWS:…`, `Service:…`, and `*` alone means every principal."""
    if isinstance(value, dict):
        return [f"{kind}:{text}" for kind, texts in value.items() for text in _texts(texts)]
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in values):
        raise MalformedPolicyError("Syntax errors in policy.")
    return values
