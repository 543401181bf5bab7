"""Who may assume a role: the principals of its trust policy, and those that a role which trusts its own account admits.

Where a trust policy names the account (its id or its root), it leaves the decision to the account: a user or role of it
may assume the role if its own policies allow `sts:AssumeRole` on it, within its permissions boundary (IAM user guide,
"AWS JSON policy elements: Principal" and "Policy evaluation for requests within a single account").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ploy_connector_aws.aws import grantability
from ploy_connector_aws.aws.policy.conditions import decide, decide_known
from ploy_connector_aws.aws.policy.documents import Condition, Statement, to_policy
from ploy_connector_aws.aws.policy.effective_permissions import EffectivePermissions, PermissionStatement
from ploy_connector_aws.aws.policy.patterns import Pattern, covers
from ploy_connector_aws.aws.policy.principals import ASSUME_ROLE, Principal, PrincipalKind, to_principal
from ploy_connector_aws.aws.policy.resource_sets import ResourceMatcher
from ploy_connector_aws.aws.policy.trust import Trust, TrustedPrincipal, covers_action
from ploy_connector_aws.aws.spool import Edge, Kind
from ploy_connector_aws.spec import Account, Grant, Record
from ploy_connector_aws.spec.records import Attributes

from .records import SOURCE, without_none

_RECORDED: dict[PrincipalKind, Kind] = {"user": "user", "role": "role"}
"""Kinds of principals that, in the account itself, have records of their own, found by ARN."""

_KINDS: dict[PrincipalKind, Literal["service", "unknown"]] = {"service": "service", "unknown": "unknown"}
"""The kind of account of principals that belong neither to this AWS account nor to another one."""

MAX_GRANTS = 100_000
"""Limit of grants; in an account beyond it most holders are administrators."""
_MAX_COMPARISONS = 2_000_000
"""Limit of compared pairs of a holder and a role; some seconds."""

_WILDCARD = re.compile(r"[*?]|\$\{")
_VARIABLE = re.compile(r"\$\{([^}*?$]{1,128})\}")


def to_edges(trust: Trust, role_id: str) -> Iterator[Edge]:
    """Convert the principals that this account has records of; their ids may be known only later."""
    own = [each for each in trust.trusted if each.is_own_account]
    roles = {each.id.rpartition("/")[2] for each in own if each.kind == "role"}
    for trusted in own:
        if trusted.kind in _RECORDED:
            yield Edge("assuming", _RECORDED[trusted.kind], trusted.id, role_id, trusted.to_attributes())
        elif trusted.kind == "session":
            # arn:aws:sts::<account>:assumed-role/<role>/<session> lacks the role's path.
            name = trusted.id.split("/")[1]
            if name not in roles:
                # No record is narrower than a role, so the attribute marks that the role trusts only one session.
                attributes = {**trusted.to_attributes(), "only_session": trusted.id}
                yield Edge("assuming", "role_name", name, role_id, attributes)


def to_external_records(trust: Trust, role_id: str) -> Iterator[Record]:
    """Convert the other principals to accounts, each with its grant. A deleted one no longer holds anything."""
    for trusted in trust.trusted:
        is_recorded = trusted.is_own_account and (trusted.kind in _RECORDED or trusted.kind == "session")
        if not is_recorded and trusted.kind != "deleted":
            yield _to_external_account(trusted)
            yield Grant(
                principal_kind="account",
                principal_id=trusted.id,
                entitlement_id=role_id,
                attributes=trusted.to_attributes(),
            )


def _to_external_account(trusted: TrustedPrincipal) -> Account:
    """Convert a principal without a record of its own: another account or its people, a service, anyone."""
    kind: Literal["external", "root", "service", "unknown"] = _KINDS.get(trusted.kind, "external")
    if trusted.is_own_account:
        # The account's root stands for all of its users and roles whose own policies let them assume the role.
        kind = {"account": "root", "federated_user": "unknown"}.get(trusted.kind, kind)  # type: ignore[assignment]
    attributes = {
        "principal": trusted.kind,
        "aws_account_id": trusted.account,
        "arn": trusted.id if trusted.id.startswith("arn:") else None,
    }
    return Account(
        id=trusted.id,
        kind=kind,
        username=trusted.id,
        source=SOURCE,
        not_grantable_reason=grantability.IAM_ACCOUNT,
        attributes=without_none(attributes),
    )


def to_grant(edge: Edge, principal_id: str) -> Grant:
    """Convert an edge whose principal has a record. A role holds by its entitlement, so that chains can be followed."""
    return Grant(
        principal_kind="account" if edge.named == "user" else "entitlement",
        principal_id=principal_id,
        entitlement_id=edge.known_id,
        attributes=edge.attributes,
    )


class TooManyGrantsError(Exception):
    """More users and roles can assume more roles than the connector makes grants for."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A user or role of the account, with what AWS puts into its requests."""

    kind: Literal["user", "role"]
    arn: str
    name: str
    unique_id: str
    tags: tuple[tuple[str, str], ...] = ()

    def to_context(self) -> dict[str, str]:
        """The condition keys with the same value in each of its requests, in lower case."""
        context = {"aws:principalarn": self.arn, "aws:principalaccount": self.arn.split(":")[4]}
        if self.kind == "role":
            return {**context, "aws:principaltype": "AssumedRole"}
        return {**context, "aws:principaltype": "User", "aws:username": self.name, "aws:userid": self.unique_id}

    def to_variables(self) -> dict[str, str]:
        """The policy variables with a known value; not a role's tags, as those of a session may replace them."""
        tags = self.tags if self.kind == "user" else ()
        return {**self.to_context(), **{f"aws:principaltag/{key.lower()}": value for key, value in tags}}


@dataclass(frozen=True, slots=True)
class _AssumeRoleStatement:
    """One statement of a trust policy about `sts:AssumeRole`."""

    is_allow: bool
    principals: tuple[Principal, ...]
    is_negated: bool
    conditions: tuple[Condition, ...]

    def covers(self, principal: Principal) -> bool:
        """Whether it covers the principal: an Allow by its account, a Deny in whatever form."""
        including = [each for each in self.principals if each.includes(principal)]
        if self.is_allow:
            return not self.is_negated and any(each.kind == "account" for each in including)
        return bool(including) != self.is_negated

    def outcomes(self, context: Mapping[str, str]) -> set[bool | None]:
        """The results of its conditions for requests with this context."""
        return {
            decide(each, is_allow=self.is_allow)
            if each.key.lower() not in context
            else decide_known(each, context[each.key.lower()])
            for each in self.conditions
        }


@dataclass(frozen=True, slots=True)
class AssumableRole:
    """A role that trusts its own account."""

    arn: str
    id: str
    statements: tuple[_AssumeRoleStatement, ...]
    named_principals: frozenset[str]
    """The ARNs of users and roles that the trust policy itself names."""
    attributes: Attributes

    def admits(self, holder: Holder) -> bool:
        """Whether the trust policy leaves the decision on this holder to the holder's own policies."""
        principal = Principal(holder.kind, holder.arn, holder.arn.split(":")[4])
        covering = [each for each in self.statements if each.covers(principal)]
        context = holder.to_context() if any(each.conditions for each in covering) else {}
        if any(not each.is_allow and each.outcomes(context) <= {True} for each in covering):
            return False
        return any(each.is_allow and False not in each.outcomes(context) for each in covering)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether policies let a holder assume a role, and the condition keys on which that depends."""

    is_allowed: bool
    conditions: tuple[str, ...] = ()
    may_be_denied: tuple[str, ...] = ()


_DENIED = Decision(False)


@dataclass(frozen=True, slots=True)
class RoleAccess:
    """A holder whose own policies let it assume a role, or may do so: then the decision is None."""

    holder: Holder
    role: AssumableRole
    decision: Decision | None

    def to_attributes(self) -> Attributes:
        """The attributes of the grant."""
        attributes = {**self.role.attributes, "by_own_policies": True}
        if self.decision and self.decision.conditions:
            attributes["own_policy_conditions"] = list(self.decision.conditions)
        if self.decision and self.decision.may_be_denied:
            attributes["own_policy_may_be_denied"] = list(self.decision.may_be_denied)
        return attributes


@dataclass
class _PolicyHolders:
    """Holders of the same policies, which are compared once."""

    held: tuple[EffectivePermissions, ...]
    boundary: EffectivePermissions | None
    holders: list[Holder] = field(default_factory=list)

    @property
    def _sources(self) -> list[tuple[EffectivePermissions, ...]]:
        """The policies that must both allow an action: those of the holder, and the boundary."""
        return [self.held, (self.boundary,)] if self.boundary else [self.held]

    def _statements(self, *, is_allow: bool) -> list[PermissionStatement]:
        return [each for held in self._sources for each in _about_assuming(held, is_allow=is_allow)]

    @property
    def has_variables(self) -> bool:
        """Whether the decision may differ from one holder to the next."""
        statements = (*self._statements(is_allow=True), *self._statements(is_allow=False))
        return any(pattern.has_variables for each in statements for pattern in each.resources.patterns)

    def find_role_arns(self) -> set[str] | None:
        """Return the ARNs of all roles that the policies may open; None where these cannot be enumerated."""
        if any(each.undecided for source in self._sources for each in source):
            return None
        resources = [each.resources for each in _about_assuming(self.held, is_allow=True)]
        texts = {pattern.text for each in resources for pattern in each.patterns}
        return None if any(each.is_negated for each in resources) or any(map(_WILDCARD.search, texts)) else texts

    def decide(self, role_arn: str, holder: Holder) -> Decision | None:
        """Decide whether the policies let the holder assume the role; None where that is undecided."""
        denies = [
            (_contains(each.resources, role_arn, holder), each.conditions) for each in self._statements(is_allow=False)
        ]
        if any(is_in and not keys for is_in, keys in denies):
            return _DENIED
        allowed = [_decide_allowed(source, role_arn, holder) for source in self._sources]
        if _DENIED in allowed:
            return _DENIED
        if None in allowed or any(is_in is None and not keys for is_in, keys in denies):
            return None
        conditions = {key for each in allowed if each for key in each.conditions}
        may_be_denied = {key for is_in, keys in denies if is_in is not False for key in keys}
        return Decision(True, tuple(sorted(conditions)), tuple(sorted(may_be_denied)))

    def find_access(self, role: AssumableRole) -> Iterator[RoleAccess]:
        """Find which of the holders can assume a role."""
        has_variables = self.has_variables
        shared = None if has_variables else self.decide(role.arn, self.holders[0])
        if shared == _DENIED:
            return
        for holder in self.holders:
            # What the trust policy itself names is a grant already, and a role gains nothing by assuming itself.
            if holder.arn in role.named_principals or holder.arn == role.arn or not role.admits(holder):
                continue
            decision = self.decide(role.arn, holder) if has_variables else shared
            if decision is None or decision.is_allowed:
                yield RoleAccess(holder, role, decision)


def _about_assuming(policies: Iterable[EffectivePermissions], *, is_allow: bool) -> list[PermissionStatement]:
    statements = (statement for each in policies for statement in (each.allows if is_allow else each.denies))
    return [each for each in statements if ASSUME_ROLE in each.actions]


def _decide_allowed(policies: tuple[EffectivePermissions, ...], role_arn: str, holder: Holder) -> Decision | None:
    """Evaluate the Allow statements; None where one was not read, is not understood, or depends on the session."""
    statements = _about_assuming(policies, is_allow=True)
    found = [(_contains(each.resources, role_arn, holder), each) for each in statements]
    # No request to assume a role has the service to which a role is passed.
    keys = [
        tuple(sorted({*each.conditions, *(["iam:PassedToService"] if each.passed_to else [])}))
        for is_in, each in found
        if is_in
    ]
    if keys:
        return Decision(True, min(keys, key=lambda each: (len(each), each)))
    is_undecided = any(is_in is None for is_in, _ in found) or any(each.undecided for each in policies)
    return None if is_undecided else _DENIED


def _contains(resources: ResourceMatcher, arn: str, holder: Holder) -> bool | None:
    """Whether an ARN is one of a statement's resources; None where that depends on an unknown variable."""
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


class AssumableRoles:
    """The roles that trust their own account, and the users and roles that may be able to assume them.

    AWS's quotas bound both: an account has at most 5,000 users and 5,000 roles.
    """

    def __init__(self) -> None:
        self._roles: dict[str, AssumableRole] = {}
        self._holders: dict[tuple[tuple[EffectivePermissions, ...], EffectivePermissions | None], _PolicyHolders] = {}
        self.error: Exception | None = None
        """Why a user, group or role is missing here."""

    @property
    def has_roles(self) -> bool:
        """Whether any role trusts its own account."""
        return bool(self._roles)

    def add_holder(
        self, holder: Holder, held: Sequence[EffectivePermissions], boundary: EffectivePermissions | None
    ) -> None:
        """Store a user or role whose policies allow to assume roles, or are not understood."""
        kept = tuple(
            each
            for each in held
            if each.undecided or any(ASSUME_ROLE in one.actions for one in (*each.allows, *each.denies))
        )
        if any(each.undecided or _about_assuming([each], is_allow=True) for each in kept):
            self._holders.setdefault((kept, boundary), _PolicyHolders(kept, boundary)).holders.append(holder)

    def add_role(self, arn: str, id_: str, document: object, trust: Trust) -> None:
        """Store a role whose trust policy names its own account."""
        root = next((each for each in trust.trusted if each.is_own_account and each.kind == "account"), None)
        if root is not None and any(ASSUME_ROLE in each.actions for each in root.statements):
            named = frozenset(each.id for each in trust.trusted if each.kind in ("user", "role"))
            statements = tuple(_to_assume_role_statements(to_policy(document, is_trust=True).statements, arn))
            self._roles[arn] = AssumableRole(arn, id_, statements, named, root.to_attributes())

    def find_access(self) -> Iterator[RoleAccess]:
        """Find who can assume which of the roles, without the holders that the trust policy itself names.

        Raises:
            TooManyGrantsError: There are more than `MAX_GRANTS`, or too many to compare; some were returned already.
        """
        grants = compared = 0
        for same in self._holders.values():
            arns = same.find_role_arns()
            roles = self._roles.values() if arns is None else [self._roles[arn] for arn in arns & self._roles.keys()]
            for role in roles:
                for access in same.find_access(role):
                    yield access
                    grants += 1
                compared += len(same.holders)
                if grants > MAX_GRANTS or compared > _MAX_COMPARISONS:
                    raise TooManyGrantsError


def _to_assume_role_statements(statements: Iterable[Statement], role_arn: str) -> Iterator[_AssumeRoleStatement]:
    partition = role_arn.split(":")[1]
    for each in statements:
        if each.principals is not None and covers_action(each, ASSUME_ROLE):
            principals = tuple(to_principal(kind, text, partition) for kind, text in each.principals.pairs)
            yield _AssumeRoleStatement(each.is_allow, principals, each.principals.is_negated, each.conditions)
