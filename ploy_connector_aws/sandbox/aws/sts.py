"""The Security Token Service: AssumeRole with all of AWS's checks, and the sessions that it issues.

moto does not check trust policies across accounts, accepts a missing external id and ignores session policies (AWS.md
11), so only its state is used, not its handlers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import Role
from moto.sts.models import sts_backends

from .access_denied import AwsError, not_authorized
from .accounts import Accounts
from .authorization import Trust, layers_of, trust_in, weigh
from .policies import MalformedPolicyError, to_policy, to_trust_policy
from .principals import PARTITION, Credentials, Principal, Sessions, iam, managed_policy_document, to_context
from .requests import ApiRequest

NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
SHORTEST_SECONDS, LONGEST_SECONDS = 900, 43200
DEFAULT_SECONDS, CHAINED_SECONDS = 3600, 3600
SESSION_POLICY_CHARACTERS = 2048
_ROLE_ARN = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role/(?:[\w+=,.@-]+/)*[\w+=,.@-]+")
# AWS.md 1.3; botocore checks none of these patterns.
_PATTERNS = {
    "RoleSessionName": (re.compile(r"[\w+=,.@-]{2,64}"), r"[\w+=,.@-]*"),
    "ExternalId": (re.compile(r"[\w+=,.@:/-]{2,1224}"), r"[\w+=,.@:\/-]*"),
    "SourceIdentity": (re.compile(r"(?!aws:)[\w+=,.@-]{2,64}"), r"[\w+=,.@-]*"),
}


class SecurityTokenService:
    """AssumeRole and GetCallerIdentity."""

    def __init__(
        self,
        sessions: Sessions,
        now: Callable[[], datetime],
        accounts: Accounts,
    ) -> None:
        self._sessions = sessions
        self._now = now
        self._accounts = accounts

    def assume_role(self, caller: Principal, request: ApiRequest, is_switched_off: bool) -> dict[str, Any]:
        """New credentials for a role that trusts the caller.

        Raises:
            AwsError: not allowed, or a parameter that AWS refuses.
        """
        parameters = request.parameters
        arn = str(parameters.get("RoleArn", ""))
        found = _ROLE_ARN.fullmatch(arn)
        if found is None:
            raise AwsError("ValidationError", f"{arn} is invalid")
        for name, (pattern, shown) in _PATTERNS.items():
            if (name in parameters or name == "RoleSessionName") and not pattern.fullmatch(
                str(parameters.get(name, ""))
            ):
                raise _constraint(name, f"Member must satisfy regular expression pattern: {shown}")
        seconds = _asked_seconds(parameters)
        policies = _session_policies(parameters, found["account"])
        role = self._allowed_role(caller, request, arn, found["account"], is_switched_off)
        if self._accounts.is_sts_switched_off(found["account"], request.region):
            raise AwsError("RegionDisabledException", "STS is not activated in this region for account", 403)
        _check_length(seconds, role, caller)
        return self._new_session(role, found["account"], parameters, policies, seconds, caller)

    def _allowed_role(
        self, caller: Principal, request: ApiRequest, arn: str, account_id: str, is_switched_off: bool
    ) -> Role:
        """The role, or the same denial for every reason: AWS does not state which (AWS.md 4)."""
        tags = {str(tag["Key"]): str(tag["Value"]) for tag in request.parameters.get("Tags", [])}
        context = to_context(caller, self._now(), request.region) | _request_context(request.parameters, tags)
        layers = layers_of(caller, self._accounts.service_control_policies(caller.account_id))
        actions = ["sts:AssumeRole"]
        actions += ["sts:TagSession"] if tags else []
        actions += ["sts:SetSourceIdentity"] if "SourceIdentity" in request.parameters else []
        try:
            role = iam(account_id).get_role_by_arn(arn)
        except NotFoundException:
            role = None
        for action in actions:
            trust = Trust.NONE
            if role is not None:
                trust = trust_in(to_trust_policy(role.assume_role_policy_document), caller, action, context)
            verdict = weigh(layers, action, arn, context)
            needs_own_policy = trust is not Trust.BY_NAME or account_id != caller.account_id
            is_denied = "explicit deny" in verdict.reason or (needs_own_policy and not verdict.is_allowed)
            if role is None or trust is Trust.NONE or is_denied or is_switched_off:
                raise not_authorized("query", caller.arn, action, arn)
        assert role is not None
        return role

    def _new_session(
        self,
        role: Role,
        account_id: str,
        parameters: Mapping[str, Any],
        policies: tuple[str, ...],
        seconds: int,
        caller: Principal,
    ) -> dict[str, Any]:
        name = str(parameters["RoleSessionName"])
        made = sts_backends[account_id][PARTITION].assume_role(
            region_name="us-east-1",
            role_session_name=name,
            role_arn=role.arn,
            policy=str(parameters.get("Policy", "")),
            duration=seconds,
            external_id=str(parameters.get("ExternalId", "")),
        )
        expires_at = self._now() + timedelta(seconds=seconds)
        principal = Principal(
            arn=f"arn:aws:sts::{account_id}:assumed-role/{role.name}/{name}",
            account_id=account_id,
            unique_id=f"{role.id}:{name}",
            issuer=role,
            session_name=name,
            session_policies=policies,
            tags=tuple((str(tag["Key"]), str(tag["Value"])) for tag in parameters.get("Tags", [])),
            source_identity=parameters.get("SourceIdentity") or caller.source_identity,
        )
        credentials = Credentials(made.secret_access_key, made.session_token, expires_at, principal)
        self._sessions.add(made.access_key_id, credentials, self._now())
        answer: dict[str, Any] = {
            "Credentials": {
                "AccessKeyId": made.access_key_id,
                "SecretAccessKey": made.secret_access_key,
                "SessionToken": made.session_token,
                "Expiration": expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            },
            "AssumedRoleUser": {"AssumedRoleId": principal.unique_id, "Arn": principal.arn},
        }
        if policies:
            used = 100 * len(str(parameters.get("Policy", ""))) // SESSION_POLICY_CHARACTERS
            answer["PackedPolicySize"] = str(max(1, used))
        if principal.source_identity:
            answer["SourceIdentity"] = principal.source_identity
        return answer


def caller_identity(caller: Principal) -> dict[str, Any]:
    """GetCallerIdentity: needs no permission and works even where it is denied."""
    return {"UserId": caller.unique_id, "Account": caller.account_id, "Arn": caller.arn}


def _request_context(parameters: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    keys = {
        "sts:externalid": "ExternalId",
        "sts:rolesessionname": "RoleSessionName",
        "sts:sourceidentity": "SourceIdentity",
    }
    context: dict[str, tuple[str, ...]] = {
        key: (str(parameters[name]),) for key, name in keys.items() if name in parameters
    }
    context.update({f"aws:requesttag/{key.lower()}": (value,) for key, value in tags.items()})
    if tags:
        context["aws:tagkeys"] = tuple(tags)
    return context


def _session_policies(parameters: Mapping[str, Any], account_id: str) -> tuple[str, ...]:
    inline = parameters.get("Policy")
    arns = [str(policy["arn"]) for policy in parameters.get("PolicyArns", [])]
    if len(str(inline or "")) + sum(map(len, arns)) > SESSION_POLICY_CHARACTERS:
        raise _constraint("Policy", f"Member must have length less than or equal to {SESSION_POLICY_CHARACTERS}")
    documents = [str(inline)] if inline is not None else []
    for arn in arns:
        document = managed_policy_document(account_id, arn)
        if document is None:
            raise AwsError("NoSuchEntity", f"The policy {arn} does not exist.", 404)
        documents.append(document)
    try:
        for document in documents:
            to_policy(document)
    except MalformedPolicyError as error:
        raise AwsError("MalformedPolicyDocument", str(error)) from None
    return tuple(documents)


def _asked_seconds(parameters: Mapping[str, Any]) -> int:
    try:
        seconds = int(parameters.get("DurationSeconds", DEFAULT_SECONDS))
    except ValueError:
        raise AwsError("ValidationError", "DurationSeconds is not a number") from None
    if seconds < SHORTEST_SECONDS:
        raise _constraint("DurationSeconds", f"Member must have value greater than or equal to {SHORTEST_SECONDS}")
    if seconds > LONGEST_SECONDS:
        raise _constraint("DurationSeconds", f"Member must have value less than or equal to {LONGEST_SECONDS}")
    return seconds


def _check_length(seconds: int, role: Role, caller: Principal) -> None:
    """A session that would be too long is rejected, never shortened (AWS.md 4)."""
    if caller.is_session and seconds > CHAINED_SECONDS:
        raise AwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    if seconds > int(role.max_session_duration or DEFAULT_SECONDS):
        raise AwsError(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )


def _constraint(name: str, constraint: str) -> AwsError:
    """AWS repeats the value here; it is omitted, since it may be an external id."""
    member = name[0].lower() + name[1:]
    return AwsError(
        "ValidationError",
        f"1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}",
    )
