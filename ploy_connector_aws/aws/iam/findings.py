"""Findings on IAM: roles that outsiders can assume, and privileged users who have not signed in for long.

A finding is made only where it is certain. A condition on a key that the caller does not choose may keep outsiders
away, so a statement with one is none: the attributes of its grant show it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import NamedTuple

from ploy_connector_aws.aws.policy.issuers import find_issuer
from ploy_connector_aws.aws.policy.principals import ASSUME_ROLE
from ploy_connector_aws.aws.policy.privileges import Verdict
from ploy_connector_aws.aws.policy.trust import RedactedCondition, Trust, TrustedPrincipal, TrustStatement
from ploy_connector_aws.aws.spool import Edge
from ploy_connector_aws.spec import Failure, Finding, Page, RecordKey, RejectedError, TemporaryError
from ploy_connector_aws.spec.lists import join_names
from ploy_connector_aws.spec.records import Severity

DORMANT_AFTER = timedelta(days=90)
"""How old the last known console sign-in of a privileged user may be."""

_CALLER_KEYS = frozenset(
    {
        *("aws:multifactorauthpresent", "aws:multifactorauthage", "aws:securetransport", "aws:principalarn"),
        *("aws:username", "aws:tagkeys", "sts:rolesessionname", "sts:sourceidentity", "sts:transitivetagkeys"),
    }
)
_CALLER_PREFIXES = ("aws:principaltag/", "aws:requesttag/")
"""Condition keys whose values the caller chooses, or by which it is chosen among those that the statement admits."""

_TOKEN_KEYS = frozenset({"aws:securetransport", "sts:rolesessionname"})
"""The same for callers with the token of an identity provider, who have no other keys but the claims."""

_ORIGIN_KEYS = frozenset(
    {"aws:principalorgid", "aws:principalorgpaths", "aws:principalaccount", "aws:userid", "aws:sourceip"}
)
"""Further keys by which `wildcard_unrestricted` was decided."""

_OF_EVERY_CALLER = _ORIGIN_KEYS | {"aws:principalarn"}
"""Further keys that a caller cannot choose, beside the claims of tokens."""

_EXEMPTING = re.compile(
    r"(?:String|Arn|Numeric)Not\w+|NotIpAddress(?:IfExists)?|StringEquals\w*|NumericEquals\w*|IpAddress"
)
"""Operators on these keys by which a Deny certainly leaves out callers, where they are not of one party."""

_MOST_LISTED = 5

_COGNITO = "cognito-identity.amazonaws.com"
_AMR = f"{_COGNITO}:amr"
"""The claim by which `cognito_guests` was decided."""

_EXTERNAL_ID = "sts:externalid"
_LACKS_KEY = frozenset({"if_exists", "for_all_values"})
"""The weaknesses by which a request without the key meets a condition."""


class Kind(NamedTuple):
    """One kind of finding."""

    severity: Severity
    severity_of_privileged: Severity
    """The severity where the role is privileged."""
    title: str
    advice: str


KINDS: Mapping[str, Kind] = {
    "role-open-to-anybody": Kind(
        "high",
        "critical",
        "Anybody can assume this role.",
        "Name the AWS accounts, roles or users that need the role in its trust policy, or delete the role.",
    ),
    "role-open-to-identity-provider": Kind(
        "high",
        "critical",
        "Anybody with an account at a shared identity provider can assume this role.",
        "Add a condition to the trust policy that limits the subject of the token to your own organization there.",
    ),
    "role-open-by-external-id": Kind(
        "medium",
        "high",
        "Anybody who knows the external ID can assume this role.",
        "Name the AWS account that needs the role in its trust policy: an external ID is not a secret.",
    ),
    "external-id-missing": Kind(
        "medium",
        "high",
        "Another AWS account can assume this role without an external ID.",
        "If the account belongs to another organization, require an external ID (sts:ExternalId) in the trust policy. "
        "If it belongs to yours, add a condition on aws:PrincipalOrgID.",
    ),
    "dormant-privileged-user": Kind(
        "high",
        "high",
        f"The last known console sign-in of a user with privileged access was more than {DORMANT_AFTER.days} days ago.",
        "Ask whether the user is still needed. Remove its privileged access, or delete the user.",
    ),
}
"""The kinds of findings, by the name that they have in records."""

_DORMANT = "dormant-privileged-user"


def find_role_findings(
    role_id: str, role_name: str, trust: Trust, verdict: Verdict, management_account: str | None
) -> Iterator[Finding]:
    """Find what outsiders can do with a role: one finding for each kind and principal.

    Args:
        role_id: The id of the role's record.
        role_name: Its name.
        trust: Its evaluated trust policy.
        verdict: What the role allows.
        management_account: The organization's management account, where it is known: no outsider.
    """
    if trust.undecided:  # a statement that was not understood may keep them away
        return
    for trusted in trust.trusted:
        found: dict[str, TrustStatement] = {}
        for statement in trusted.statements:
            kind = _judge_statement(trusted, statement, management_account)
            if kind is not None:
                found.setdefault(kind, statement)
        for kind, statement in found.items():
            about = KINDS[kind]
            yield Finding(
                id=f"{kind}/{role_id}/{trusted.id}",
                kind=kind,
                subjects=(RecordKey(type="entitlement", id=role_id), RecordKey(type="account", id=trusted.id)),
                severity=about.severity_of_privileged if verdict.privileged else about.severity,
                title=about.title,
                evidence=_describe(kind, role_name, trusted, statement, verdict),
                advice=about.advice,
            )


def _judge_statement(
    trusted: TrustedPrincipal, statement: TrustStatement, management_account: str | None
) -> str | None:
    """Return the kind of finding that a statement is; None where it is none, or that is not certain."""
    if not all(map(_exempts_callers, statement.denied_under)):
        return None
    keys = _keys((*statement.conditions, *statement.denied_under))
    if "cognito_guests" in statement.flags:
        return "role-open-to-anybody" if all(_is_of_token(key, _COGNITO) for key in keys) else None
    if "oidc_without_subject" in statement.flags:
        url = (trusted.id.partition("oidc-provider/")[2] or trusted.id).lower()
        issuer = find_issuer(url)
        is_shared = issuer is not None and not issuer.is_private
        # Whether a condition on the address restricts was decided with the flag.
        is_open = is_shared and all(_is_of_token(key, url) or key == "aws:sourceip" for key in keys)
        return "role-open-to-identity-provider" if is_open else None
    if "wildcard_unrestricted" in statement.flags and ASSUME_ROLE in statement.actions:
        if all(_is_of_caller(key) or key in {*_ORIGIN_KEYS, _EXTERNAL_ID} for key in keys):
            return "role-open-by-external-id" if _EXTERNAL_ID in keys else "role-open-to-anybody"
        return None
    is_outside = trusted.is_own_account is False and trusted.account != management_account
    if is_outside and ("external_id_missing" in statement.flags or _admits_without_external_id(statement)):
        others = keys - ({_EXTERNAL_ID} if statement.external_id == "weak" else set())
        return "external-id-missing" if all(map(_is_of_caller, others)) else None
    return None


def _admits_without_external_id(statement: TrustStatement) -> bool:
    """Whether each condition on the external ID is met by a request that has none."""
    about_id = [each for each in statement.conditions if each.key.lower() == _EXTERNAL_ID]
    return (
        bool(about_id)
        and _EXTERNAL_ID not in _keys(statement.denied_under)
        and all(_LACKS_KEY.intersection(each.weaknesses) for each in about_id)
    )


def _exempts_callers(condition: RedactedCondition) -> bool:
    """Whether a condition of a Deny certainly leaves out some outsiders."""
    if "anything" in condition.weaknesses:
        return False
    key = condition.key.lower()
    is_of_every_caller = key in _OF_EVERY_CALLER or not key.startswith(("aws:", "sts:"))
    return not is_of_every_caller or key == _AMR or _EXEMPTING.fullmatch(condition.operator) is not None


def _keys(conditions: Iterable[RedactedCondition]) -> frozenset[str]:
    return frozenset(each.key.lower() for each in conditions)


def _is_of_caller(key: str) -> bool:
    return key in _CALLER_KEYS or key.startswith(_CALLER_PREFIXES)


def _is_of_token(key: str, issuer_url: str) -> bool:
    url = issuer_url.rstrip("/")
    return key in _TOKEN_KEYS or key.startswith((f"{url}:", f"{url}/:"))


def _describe(kind: str, role_name: str, trusted: TrustedPrincipal, statement: TrustStatement, verdict: Verdict) -> str:
    who = "everybody (*)" if trusted.kind == "anyone" else trusted.id
    sentences = [f"The trust policy of the role {role_name} admits {who} by {' and '.join(statement.actions)}."]
    if kind == "external-id-missing":
        sentences.append("No condition requires an external ID. The owner of that account is unknown.")
    if kind == "role-open-to-anybody" and trusted.kind != "anyone":
        sentences.append("Guests of the identity pool need no login, and the pool's ID is public.")
    if keys := _keys((*statement.conditions, *statement.denied_under)):
        sentences.append(f"Its conditions are on {join_names(sorted(keys), _MOST_LISTED)}.")
    if statement.except_principals:
        sentences.append(f"It denies {join_names(statement.except_principals, _MOST_LISTED)}.")
    if verdict.privileged:
        sentences.append("The role is privileged.")
    return " ".join(sentences)


@dataclass(frozen=True, slots=True)
class DormantUser:
    """An IAM user whose last known console sign-in is too old, or that was left out of the list that has its date."""

    id: str
    unique_id: str
    name: str
    last_sign_in: datetime | None
    """None where the list left it out."""
    is_privileged: bool | None
    """By its own policies and those of its groups; None where not all of them were read or understood."""


@dataclass
class SignIns:
    """Who has not signed in for long, and what the roles allow, until all roles and trust policies were read.

    AWS's quotas bound both: an account has at most 5,000 users and 5,000 roles.
    """

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    _dormant: dict[str, DormantUser] = field(default_factory=dict)
    _roles: dict[str, tuple[str, bool | None]] = field(default_factory=dict)

    def add_user(
        self,
        id_: str,
        unique_id: str,
        name: str,
        last_sign_in: datetime | None,
        verdict: Verdict,
        *,
        is_listed: bool = True,
    ) -> None:
        """Note a user; one that is listed without a sign-in, or with a recent one, is no candidate."""
        if last_sign_in is None:
            is_candidate = not is_listed
        else:
            last_sign_in = last_sign_in.astimezone(UTC)
            is_candidate = self.now - last_sign_in > DORMANT_AFTER
        if is_candidate:
            self._dormant[id_] = DormantUser(id_, unique_id, name, last_sign_in, _certain(verdict))

    def add_role(self, id_: str, name: str, verdict: Verdict) -> None:
        """Note what a role allows."""
        self._roles[id_] = (name, _certain(verdict))

    def to_pages(
        self,
        scope: str,
        edges: Iterable[list[tuple[Edge, str | None]]],
        users_failure: Failure | None,
        failure: Failure | None,
    ) -> Iterator[Page]:
        """Yield the findings, each in a scope of its own, and the end of the scope of all.

        A user that proves not to be privileged, or to have signed in, is not announced, so its finding is gone. Where
        that is not known, the user's own scope fails; the scope of all fails where the users themselves were not
        read, or where a user may lack its finding because something else was not.

        Args:
            scope: The name of the scope of all.
            edges: Who can assume which role, each with the id of who can, in batches, once everything was read.
            users_failure: Why not all users were read.
            failure: Why not all groups, roles and trust policies were read.
        """
        reach = _Reach(self._roles, edges if self._dormant else ())
        for user in self._dormant.values():
            roles = reach.find_privileged(user.id)
            name = f"{scope}/{user.unique_id}"
            is_privileged = bool(user.is_privileged or roles)
            if is_privileged and user.last_sign_in is not None:
                finding = self._to_finding(user, user.last_sign_in, roles if not user.is_privileged else ())
                yield Page(scope=name, parent=scope, records=(finding,), complete=True)
            elif not is_privileged and failure is not None:
                users_failure = users_failure or failure
            elif user.last_sign_in is None and users_failure is not None:
                pass  # its scope is kept, as the scope above it fails
            elif is_privileged or user.is_privileged is None or reach.may_be_privileged(user.id):
                error = _undecided(user.name) if user.last_sign_in else _unlisted(user.name)
                yield Page(scope=name, parent=scope, failure=Failure.from_error(error))
        yield Page(scope=scope, complete=users_failure is None, failure=users_failure)

    def _to_finding(self, user: DormantUser, last_sign_in: datetime, roles: tuple[str, ...]) -> Finding:
        names = [self._roles[each][0] for each in roles]
        by = f"through the role {names[0]}" if roles else "by its own policies and those of its groups"
        then = f" and then {', '.join(names[1:])}" if names[1:] else ""
        reached = (RecordKey(type="entitlement", id=roles[-1]),) if roles else ()
        about = KINDS[_DORMANT]
        return Finding(
            id=f"{_DORMANT}/{user.id}",
            kind=_DORMANT,
            subjects=(RecordKey(type="account", id=user.id), *reached),
            severity=about.severity,
            title=about.title,
            evidence=f"The last known console sign-in of the IAM user {user.name} was on "
            f"{last_sign_in:%Y-%m-%d}. It reaches privileged access {by}{then}. "
            "Whether it has used access keys since cannot be read.",
            advice=about.advice,
        )


class _Reach:
    """Which users reach privileged access by assuming roles."""

    def __init__(
        self, roles: Mapping[str, tuple[str, bool | None]], edges: Iterable[list[tuple[Edge, str | None]]]
    ) -> None:
        self._leading: defaultdict[str, set[str]] = defaultdict(set)
        for edge, holder_id in chain.from_iterable(edges):
            if holder_id is not None:
                self._leading[edge.known_id].add(holder_id)
        self._next = self._follow({id_ for id_, (_, is_privileged) in roles.items() if is_privileged})
        self._unsure = self._follow({id_ for id_, (_, is_privileged) in roles.items() if is_privileged is None})

    def find_privileged(self, holder_id: str) -> tuple[str, ...]:
        """Return the roles on a shortest chain to a privileged role; none where there is no chain."""
        roles: list[str] = []
        role_id = self._next.get(holder_id)
        while role_id is not None:
            roles.append(role_id)
            role_id = self._next.get(role_id)
        return tuple(roles)

    def may_be_privileged(self, holder_id: str) -> bool:
        """Whether it reaches a role that may be privileged."""
        return holder_id in self._unsure

    def _follow(self, targets: set[str]) -> dict[str, str | None]:
        """Return the next role on a shortest chain to one of the targets, of all who reach one; of a target None."""
        found: dict[str, str | None] = dict.fromkeys(sorted(targets))
        nearest = list(found)
        while nearest:
            further: dict[str, str | None] = {}
            for role_id in nearest:
                further.update((each, role_id) for each in self._leading[role_id] if each not in {*found, *further})
            found.update(further)
            nearest = sorted(further)
        return found


def _certain(verdict: Verdict) -> bool | None:
    return None if verdict.is_partial else verdict.privileged


def _undecided(name: str) -> RejectedError:
    return RejectedError(
        f"Whether the IAM user {name}, whose last known console sign-in is more than {DORMANT_AFTER.days} days ago, "
        "reaches privileged access is not known: a policy was not read or not understood.",
        reason="privilege_undecided",
        fix="Look at the policies of that user and of the roles it can assume; update the connector.",
    )


def _unlisted(name: str) -> TemporaryError:
    return TemporaryError(
        f"AWS left the IAM user {name} out of ListUsers, which has the date of its last console sign-in."
    )
