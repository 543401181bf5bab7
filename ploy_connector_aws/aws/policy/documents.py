"""Parses policy documents: what AWS accepts is read, what is not understood is said, and nothing is guessed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

EXTERNAL_ID = "sts:externalid"
"""The condition key of external ids, in lower case. Its values are dropped while parsing and are kept nowhere."""

VERSION_WITH_VARIABLES = "2012-10-17"
VERSION_WITHOUT_A_WORD = "2008-10-17"
"""What a document without a version has (IAM user guide, "IAM JSON policy elements: Version")."""

LONGEST_DOCUMENT = 10_240
"""So many characters the longest of a customer's documents has: all inline policies of a role together (IAM user
guide, "IAM and AWS STS quotas"; white space is not counted). No longer one is from IAM as it is known."""

_DOCUMENT_ELEMENTS = frozenset({"Version", "Id", "Statement"})
_STATEMENT_ELEMENTS = frozenset(
    {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "NotPrincipal", "Condition"}
)
_PRINCIPAL_TYPES = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_QUANTIFIERS = frozenset({"ForAllValues", "ForAnyValue"})
_OPERATORS = frozenset(
    {
        *(f"String{name}" for name in ("Equals", "NotEquals", "EqualsIgnoreCase", "NotEqualsIgnoreCase")),
        *("StringLike", "StringNotLike", "Bool", "BinaryEquals", "IpAddress", "NotIpAddress", "Null"),
        *(
            f"{kind}{name}"
            for kind in ("Numeric", "Date")
            for name in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
        ),
        *("ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike"),
    }
)
# AWS takes condition keys with a prefix only: aws:SourceIp, saml:aud, or an OIDC issuer without its https://.
_KEY = re.compile(r"[\w./-]+:[\w.:/*${}=+@ -]{1,512}")


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator applied to one key. For an external id `values` is empty: only their number and shape are kept."""

    operator: str
    quantifier: str | None
    if_exists: bool
    key: str
    values: tuple[str, ...]
    value_count: int
    has_wildcard: bool
    matches_anything: bool

    @property
    def written(self) -> str:
        """The operator as the policy has it."""
        quantifier = f"{self.quantifier}:" if self.quantifier else ""
        return f"{quantifier}{self.operator}{'IfExists' if self.if_exists else ''}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A list of texts, or (`is_negated`) everything but them."""

    texts: tuple[str, ...]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Principals:
    """Pairs of a type (`AWS`, `Service`, `Federated`, `CanonicalUser`, `*`) and a text, or everyone but them."""

    pairs: tuple[tuple[str, str], ...]
    is_negated: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; `resources` is None in trust policies, `principals` in all others."""

    is_allow: bool
    actions: Choice
    resources: Choice | None
    principals: Principals | None
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The statements that were understood; `undecided` says what was not, in sentences without the policy's texts."""

    statements: tuple[Statement, ...] = ()
    has_variables: bool = False
    undecided: tuple[str, ...] = ()


class _UnsupportedError(Exception):
    """A part of the document is not what AWS's grammar has; the message is the end of a sentence."""


def to_policy(document: object, *, is_trust: bool = False, is_aws_managed: bool = False) -> Policy:
    """Parse a policy document as boto3 hands it over: decoded, or the text that botocore failed to decode.

    Args:
        document: The document.
        is_trust: Whether it is a role's trust policy, whose statements name principals and no resources.
        is_aws_managed: Whether AWS wrote it: its own policies have no limit (ReadOnlyAccess has 95,000 characters).
    """
    if isinstance(document, str):
        return Policy(undecided=("The policy document could not be decoded.",))
    if not is_aws_managed and _is_too_long(document):
        return Policy(undecided=(f"The policy document has more than {LONGEST_DOCUMENT:,} characters.",))
    try:
        version, statements = _to_parts(document)
    except _UnsupportedError as error:
        return Policy(undecided=(f"The policy document was not understood: {error}.",))
    understood, undecided = [], []
    for number, raw in enumerate(statements, 1):
        try:
            understood.append(_to_statement(raw, is_trust))
        except _UnsupportedError as error:
            undecided.append(f"Statement {number} of the policy was not understood: {error}.")
    return Policy(tuple(understood), version == VERSION_WITH_VARIABLES, tuple(undecided))


def _is_too_long(document: object) -> bool:
    try:
        return len(json.dumps(document, ensure_ascii=False, separators=(",", ":"), default=str)) > LONGEST_DOCUMENT
    except RecursionError:  # nested deeper than any grammar of AWS's
        return True


def _to_parts(document: object) -> tuple[str, list[object]]:
    if not isinstance(document, Mapping):
        raise _UnsupportedError("it is not an object")
    if document.keys() - _DOCUMENT_ELEMENTS:
        raise _UnsupportedError("it has an unknown element")
    version = document.get("Version", VERSION_WITHOUT_A_WORD)
    if version not in (VERSION_WITH_VARIABLES, VERSION_WITHOUT_A_WORD):
        raise _UnsupportedError("its version is unknown")
    if "Statement" not in document:
        raise _UnsupportedError("it has no statements")
    statements = document["Statement"]
    return version, statements if isinstance(statements, list) else [statements]


def _to_statement(raw: object, is_trust: bool) -> Statement:
    if not isinstance(raw, Mapping):
        raise _UnsupportedError("it is not an object")
    if raw.keys() - _STATEMENT_ELEMENTS:
        raise _UnsupportedError("it has an unknown element")
    if raw.get("Effect") not in ("Allow", "Deny"):
        raise _UnsupportedError("its effect is neither Allow nor Deny")
    actions, resources, principals = _to_choice(raw, "Action"), _to_choice(raw, "Resource"), _to_principals(raw)
    if actions is None:
        raise _UnsupportedError("it names no actions")
    if not all(set(text) == {"*"} or ":" in text for text in actions.texts):
        raise _UnsupportedError("an action names no service")
    if (resources is None) != is_trust or (principals is None) == is_trust:
        raise _UnsupportedError(f"it does not name {'principals' if is_trust else 'resources'}, and these only")
    return Statement(raw["Effect"] == "Allow", actions, resources, principals, _to_conditions(raw.get("Condition", {})))


def _to_choice(raw: Mapping[str, Any], name: str) -> Choice | None:
    if name in raw and f"Not{name}" in raw:
        raise _UnsupportedError(f"it has both {name} and Not{name}")
    for key, is_negated in ((name, False), (f"Not{name}", True)):
        if key in raw:
            return Choice(_to_texts(raw[key], key), is_negated)
    return None


def _to_principals(raw: Mapping[str, Any]) -> Principals | None:
    if "Principal" in raw and "NotPrincipal" in raw:
        raise _UnsupportedError("it has both Principal and NotPrincipal")
    for key, is_negated in (("Principal", False), ("NotPrincipal", True)):
        if key in raw:
            return Principals(tuple(_to_pairs(raw[key])), is_negated)
    return None


def _to_pairs(value: object) -> Iterable[tuple[str, str]]:
    if value == "*":
        return [("*", "*")]
    if not isinstance(value, Mapping) or value.keys() - _PRINCIPAL_TYPES:
        raise _UnsupportedError("a principal is of an unknown type")
    return [(kind, text) for kind, texts in value.items() for text in _to_texts(texts, "a principal")]


def _to_texts(value: object, name: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) and text for text in values):
        raise _UnsupportedError(f"{name} is not a list of texts")
    return tuple(values)


def _to_conditions(block: object) -> tuple[Condition, ...]:
    if not isinstance(block, Mapping) or not all(isinstance(keys, Mapping) for keys in block.values()):
        raise _UnsupportedError("its conditions are not objects")
    return tuple(_to_condition(written, key, values) for written, keys in block.items() for key, values in keys.items())


def _to_condition(written: str, key: str, value: object) -> Condition:
    quantifier, _, name = written.rpartition(":")
    operator = name.removesuffix("IfExists")
    if operator not in _OPERATORS or quantifier not in {"", *_QUANTIFIERS}:
        raise _UnsupportedError("a condition has an unknown operator")
    if not _KEY.fullmatch(key):
        raise _UnsupportedError("a condition has an unknown key")
    raw = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | bool | int | float) for each in raw):
        raise _UnsupportedError("a condition's values are not texts")
    values = tuple(str(each).lower() if isinstance(each, bool) else str(each) for each in raw)
    # ArnEquals takes wildcards as ArnLike does (IAM user guide, "ARN condition operators").
    takes_wildcards = operator.endswith("Like") or operator.startswith("Arn")
    return Condition(
        operator=operator,
        quantifier=quantifier or None,
        if_exists=name.endswith("IfExists"),
        key=key,
        values=() if key.lower() == EXTERNAL_ID else values,
        value_count=len(values),
        has_wildcard=takes_wildcards and any("*" in each or "?" in each for each in values),
        matches_anything=any(_is_anything(operator, each, takes_wildcards) for each in values),
    )


def _is_anything(operator: str, value: str, takes_wildcards: bool) -> bool:
    if operator == "IpAddress":
        return value.endswith("/0")
    return takes_wildcards and set(value) == {"*"}
