"""Finds who can assume the roles that trust their own account: users and roles whose own policies open them.

Where a trust policy names the account (its id or its root), it leaves the decision to the account: a user or role of it
may assume the role if its own policies allow `sts:AssumeRole` on it, within its permissions boundary (IAM user guide,
"AWS JSON policy elements: Principal" and "Policy evaluation for requests within a single account").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ploy_connector_aws.aws.policy.conditions import decide, decide_known
from ploy_connector_aws.aws.policy.documents import Condition, Statement, to_policy
from ploy_connector_aws.aws.policy.effective_permissions import EffectivePermissions, PermissionStatement
from ploy_connector_aws.aws.policy.patterns import Pattern, covers
from ploy_connector_aws.aws.policy.principals import ASSUME_ROLE, Principal, to_principal
from ploy_connector_aws.aws.policy.resource_sets import ResourceMatcher
from ploy_connector_aws.aws.policy.trust import Trust, covers_action
from ploy_connector_aws.spec.records import Attributes

MOST_OPENED = 100_000
"""So many grants are made at most; an account beyond that is one where most holders are administrators."""
_MOST_COMPARED = 2_000_000
"""So many pairs of a holder and a role are compared at most; some seconds."""

_WILDCARD = re.compile(r"[*?]|\$\{")
_VARIABLE = re.compile(r"\$\{([^}*?$]{1,128})\}")


class TooManyOpenedError(Exception):
    """More users and roles can assume more roles than grants are made for."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A user or role of the account, with what AWS puts into its requests."""

    kind: Literal["user", "role"]
    arn: str
    name: str
    unique_id: str
    tags: tuple[tuple[str, str], ...] = ()

    def to_context(self) -> dict[str, str]:
        """The condition keys whose value is the same in each of its requests, in lower case."""
        context = {"aws:principalarn": self.arn, "aws:principalaccount": self.arn.split(":")[4]}
        if self.kind == "role":
            return {**context, "aws:principaltype": "AssumedRole"}
        return {**context, "aws:principaltype": "User", "aws:username": self.name, "aws:userid": self.unique_id}

    def to_variables(self) -> dict[str, str]:
        """The policy variables that are known of it; not the tags of a role, as those of a session may replace them."""
        tags = self.tags if self.kind == "user" else ()
        return {**self.to_context(), **{f"aws:principaltag/{key.lower()}": value for key, value in tags}}


@dataclass(frozen=True, slots=True)
class Opened:
    """A holder that can assume a role, and the condition keys of its own policies on which that depends."""

    holder: Holder
    role: TrustingRole
    conditions: tuple[str, ...]
    may_be_denied: tuple[str, ...]

    def to_attributes(self) -> Attributes:
        """What the grant reports."""
        return {
            **self.role.attributes,
            "by_own_policies": True,
            **({"own_policy_conditions": list(self.conditions)} if self.conditions else {}),
            **({"own_policy_may_be_denied": list(self.may_be_denied)} if self.may_be_denied else {}),
        }


@dataclass(frozen=True, slots=True)
class _TrustStatement:
    """One statement of a trust policy about `sts:AssumeRole`."""

    is_allow: bool
    principals: tuple[Principal, ...]
    is_negated: bool
    conditions: tuple[Condition, ...]

    def is_about(self, holder: Principal) -> bool:
        """Whether it names the holder: an Allow by its account, a Deny in whatever form."""
        includes = [each for each in self.principals if each.includes(holder)]
        if self.is_allow:
            return not self.is_negated and any(each.kind == "account" for each in includes)
        return bool(includes) != self.is_negated

    def outcomes(self, context: Mapping[str, str]) -> set[bool | None]:
        """What its conditions come to for such requests."""
        return {_decide(each, context, is_allow=self.is_allow) for each in self.conditions}


@dataclass(frozen=True, slots=True)
class TrustingRole:
    """A role that trusts its own account."""

    arn: str
    id: str
    statements: tuple[_TrustStatement, ...]
    named: frozenset[str]
    """The ARNs of users and roles that the trust policy names itself."""
    attributes: Attributes

    def admits(self, holder: Holder) -> bool:
        """Whether the trust policy leaves the decision on this holder to its own policies."""
        principal = Principal(holder.kind, holder.arn, holder.arn.split(":")[4])
        about = [each for each in self.statements if each.is_about(principal)]
        context = holder.to_context() if any(each.conditions for each in about) else {}
        if any(not each.is_allow and each.outcomes(context) <= {True} for each in about):
            return False
        return any(each.is_allow and False not in each.outcomes(context) for each in about)


def _to_trust_statement(statement: Statement, partition: str) -> Iterator[_TrustStatement]:
    named = statement.principals
    if named is not None and covers_action(statement, ASSUME_ROLE):
        principals = tuple(to_principal(kind, text, partition) for kind, text in named.pairs)
        yield _TrustStatement(statement.is_allow, principals, named.is_negated, statement.conditions)


def _decide(condition: Condition, context: Mapping[str, str], *, is_allow: bool) -> bool | None:
    value = context.get(condition.key.lower())
    return decide(condition, is_allow=is_allow) if value is None else decide_known(condition, value)


@dataclass
class _Alike:
    """Holders of the same policies, which are compared once."""

    held: tuple[EffectivePermissions, ...]
    boundary: EffectivePermissions | None
    holders: list[Holder] = field(default_factory=list)

    @property
    def is_undecided(self) -> bool:
        """Whether a part of the policies was not read or not understood."""
        return any(each.undecided for each in self.held) or bool(self.boundary and self.boundary.undecided)

    @property
    def has_variables(self) -> bool:
        """Whether the answer may differ from one holder to the next."""
        every = (*self.held, *([self.boundary] if self.boundary else []))
        powers = (power for each in every for power in (*each.allows, *each.denies) if ASSUME_ROLE in power.actions)
        return any(each.has_variables for power in powers for each in power.resources.patterns)

    def find_role_arns(self) -> set[str] | None:
        """The ARNs that the policies name, if they name no others by a wildcard; None if they do."""
        arns: set[str] = set()
        for power in _of_assuming(power for each in self.held for power in each.allows):
            if power.resources.is_negated or any(_WILDCARD.search(each.text) for each in power.resources.patterns):
                return None
            arns.update(each.text for each in power.resources.patterns)
        return arns

    def answer(self, role_arn: str, holder: Holder) -> _Answer | None:
        """Whether the policies let the holder assume the role; None where that is not decided."""
        denies = _of_assuming(power for each in (*self.held, *self._within) for power in each.denies)
        found = [(_contains(power.resources, role_arn, holder), power.conditions) for power in denies]
        if any(is_in and not keys for is_in, keys in found):
            return _REFUSED
        sources = [self.held, *([self._within] if self._within else [])]
        allowed = [_find_allowed(each, role_arn, holder) for each in sources]
        if _REFUSED in allowed:
            return _REFUSED
        if None in allowed or any(is_in is None and not keys for is_in, keys in found):
            return None
        keys = {key for each in allowed if each for key in each.conditions}
        denied = {key for is_in, keys in found if is_in is not False for key in keys}
        return _Answer(True, tuple(sorted(keys)), tuple(sorted(denied)))

    @property
    def _within(self) -> tuple[EffectivePermissions, ...]:
        return (self.boundary,) if self.boundary else ()


@dataclass(frozen=True, slots=True)
class _Answer:
    """Whether policies let a holder assume a role, and the condition keys on which that depends."""

    is_allowed: bool
    conditions: tuple[str, ...] = ()
    may_be_denied: tuple[str, ...] = ()


_REFUSED = _Answer(False)


def _find_allowed(held: Iterable[EffectivePermissions], role_arn: str, holder: Holder) -> _Answer | None:
    """What the Allow statements come to; None where a part was not read, not understood, or depends on the session."""
    every = tuple(held)
    powers = _of_assuming(power for each in every for power in each.allows)
    found = [(_contains(power.resources, role_arn, holder), power) for power in powers]
    # No request to assume a role says to which service a role is passed.
    keys = [
        tuple(sorted({*power.conditions, *(["iam:PassedToService"] if power.passed_to else [])}))
        for is_in, power in found
        if is_in
    ]
    if keys:
        return _Answer(True, min(keys, key=lambda each: (len(each), each)))
    is_open = any(is_in is None for is_in, _ in found) or any(each.undecided for each in every)
    return None if is_open else _REFUSED


def _of_assuming(powers: Iterable[PermissionStatement]) -> list[PermissionStatement]:
    return [power for power in powers if ASSUME_ROLE in power.actions]


def _contains(resources: ResourceMatcher, arn: str, holder: Holder) -> bool | None:
    """Whether an ARN is one of a statement's resources; None where that depends on a variable that is not known."""
    outcomes = {_matches(each, arn, holder) for each in resources.patterns}
    is_named = True if True in outcomes else (None if None in outcomes else False)
    return None if is_named is None else is_named != resources.is_negated


def _matches(pattern: Pattern, arn: str, holder: Holder) -> bool | None:
    text = pattern.text
    if pattern.has_variables:
        known = holder.to_variables()
        text = _VARIABLE.sub(lambda found: known.get(found[1].lower(), found[0]), text)
        if _VARIABLE.search(text):
            return None
    return covers(Pattern(text), Pattern(arn))


class Openings:
    """The roles that trust their own account, and the users and roles that may be able to assume them.

    AWS's quotas bound both: an account has at most 5,000 users and 5,000 roles.
    """

    def __init__(self) -> None:
        self._roles: dict[str, TrustingRole] = {}
        self._alike: dict[tuple[tuple[EffectivePermissions, ...], EffectivePermissions | None], _Alike] = {}
        self.lost: Exception | None = None
        """Why a user, group or role is missing here."""

    @property
    def is_any(self) -> bool:
        """Whether any role trusts its own account."""
        return bool(self._roles)

    def add_holder(
        self, holder: Holder, held: Sequence[EffectivePermissions], boundary: EffectivePermissions | None
    ) -> None:
        """Remember a user or role, if its policies allow to assume roles or were not understood."""
        kept = tuple(each for each in held if each.undecided or _names_assume_role(each))
        if any(each.undecided or _of_assuming(each.allows) for each in kept):
            self._alike.setdefault((kept, boundary), _Alike(kept, boundary)).holders.append(holder)

    def add_role(self, arn: str, id_: str, document: object, trust: Trust) -> None:
        """Remember a role, if its trust policy names its own account."""
        root = next((each for each in trust.trusted if each.is_own_account and each.kind == "account"), None)
        if root is not None and any(ASSUME_ROLE in each.actions for each in root.statements):
            named = frozenset(each.id for each in trust.trusted if each.kind in ("user", "role"))
            partition = arn.split(":")[1]
            parsed = to_policy(document, is_trust=True).statements
            statements = tuple(made for each in parsed for made in _to_trust_statement(each, partition))
            self._roles[arn] = TrustingRole(arn, id_, statements, named, root.to_attributes())

    def find_opened(self) -> Iterator[Opened | Undecided]:
        """Find who can assume which of the roles; holders that the trust policy names itself are not repeated.

        Raises:
            TooManyOpenedError: There are more than `MOST_OPENED`, or too many to compare; some were given already.
        """
        opened = compared = 0
        for alike in self._alike.values():
            arns = None if alike.is_undecided else alike.find_role_arns()
            roles = self._roles.values() if arns is None else [self._roles[arn] for arn in arns & self._roles.keys()]
            for role in roles:
                for found in _find_opened(alike, role):
                    yield found
                    opened += 1
                compared += len(alike.holders)
                if opened > MOST_OPENED or compared > _MOST_COMPARED:
                    raise TooManyOpenedError


@dataclass(frozen=True, slots=True)
class Undecided:
    """A holder of which it is not known whether it can assume a role."""

    holder: Holder
    role: TrustingRole


def _find_opened(alike: _Alike, role: TrustingRole) -> Iterator[Opened | Undecided]:
    same = None if alike.has_variables else alike.answer(role.arn, alike.holders[0])
    if same == _REFUSED:
        return
    for holder in alike.holders:
        # What the trust policy names itself is a grant already, and a role gains nothing by assuming itself.
        if holder.arn in role.named or holder.arn == role.arn or not role.admits(holder):
            continue
        answer = alike.answer(role.arn, holder) if alike.has_variables else same
        if answer is None:
            yield Undecided(holder, role)
        elif answer.is_allowed:
            yield Opened(holder, role, answer.conditions, answer.may_be_denied)


def _names_assume_role(powers: EffectivePermissions) -> bool:
    return any(ASSUME_ROLE in power.actions for power in (*powers.allows, *powers.denies))
