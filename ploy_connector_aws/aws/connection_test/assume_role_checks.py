"""Checks of AssumeRole: Ploy gets in with the external ID, and is denied without it and with any other.

A denial proves something only if the role is assumed with the right external ID in the same run. If a negative test
unexpectedly returns credentials, they carry a deny-all session policy and are discarded.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from ploy_connector_aws.aws.client.api_errors import ApiCall, ErrorResponse
from ploy_connector_aws.aws.client.assume_role import (
    DeniedByCallerAccountError,
    NotTrustedError,
    RoleDeniedError,
    assume_role_failed,
)
from ploy_connector_aws.aws.client.errors import to_connector_error
from ploy_connector_aws.aws.client.external_id_proof import EXTERNAL_ID_EXACT, EXTERNAL_ID_REQUIRED
from ploy_connector_aws.aws.client.session import INTERACTIVE, RoleSession, make_sts_client
from ploy_connector_aws.config import PLOY_ACCOUNT_ID, AwsConfig
from ploy_connector_aws.spec import Check, ConnectionReport, ConnectorError

from .evidence import failed, skipped
from .trust_policy_check import TRUST_POLICY_FIX

OWN_CREDENTIALS = "own-credentials"
ASSUME_ROLE = "assume-role"

_ALWAYS_ENABLED = "us-east-1"
_SHORTEST_SECONDS = 900
_DENY_ALL = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
_JUST_CHANGED = (
    "If the trust policy was changed within the last minute, try again: changes in IAM take a while to work. Otherwise:"
)

_RISKS = {
    EXTERNAL_ID_REQUIRED: "anyone who makes Ploy request this role would get in",
    EXTERNAL_ID_EXACT: "another customer of Ploy could name this role and would get in with their own external ID",
}
"""What it would mean if the requests that must be denied succeeded, by check."""


@dataclass(frozen=True)
class AssumeRoleResult:
    """The checks of AssumeRole; `failed_check` names the one with the reason why the role was not assumed."""

    checks: tuple[Check, ...]
    failed_check: str | None = None


@dataclass(frozen=True)
class _NegativeTest:
    """One request for the role that must be denied, and the check that it belongs to."""

    check: str
    how: str
    external_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Owner:
    """Account that owns the connector's AWS credentials, or why it is unknown."""

    account_id: str | None = None
    error: ConnectorError | None = None


def check_assume_role(
    session: RoleSession, pauses: Sequence[float], wait: Callable[[float], object]
) -> AssumeRoleResult:
    """Enter the role as a sync does, and send the requests that must be denied.

    Args:
        session: The session to open.
        pauses: Seconds to wait before each further attempt, because a new role cannot be assumed at once
            (AWS.md 5.6).
        wait: Sleeps.
    """
    config = session.config
    client = _make_client(config)
    if isinstance(client, ConnectorError):
        return _without_client(client)
    tests = _negative_tests(config.external_id.get_secret_value())
    with ThreadPoolExecutor(len(tests) + 1) as threads:
        owner = threads.submit(_read_owner, client)
        refusal = _open(session, pauses, wait)
        # Not before: until AWS knows a new role everywhere, it denies it to everyone.
        denials = [threads.submit(_request, client, config, "refuse", each.external_id) for each in tests]
    client.close()
    owner_check = _check_owner(owner.result(), config.region, refusal)
    failed_check = OWN_CREDENTIALS if owner_check.outcome == "failed" else ASSUME_ROLE if refusal else None
    return AssumeRoleResult(
        checks=(
            owner_check,
            _check_entry(config, refusal, failed_check),
            *_check_denials(tests, [each.result() for each in denials], failed_check),
        ),
        failed_check=failed_check,
    )


def prove_external_id(config: AwsConfig) -> ConnectionReport:
    """Make only the checks that must pass before the role is used: five requests, and no session is kept.

    Args:
        config: The integration's settings.

    Raises:
        AuthenticationError: AWS denied the role with the right external ID, too.
        TemporaryError: AWS did not decide.
    """
    client = _make_client(config)
    if isinstance(client, ConnectorError):
        raise client
    try:
        refusal = _request(client, config, "prove", config.external_id.get_secret_value())
        if refusal is not None:
            raise refusal
        tests = _negative_tests(config.external_id.get_secret_value())
        denials = [_request(client, config, "refuse", each.external_id) for each in tests]
    finally:
        client.close()
    return ConnectionReport(checks=tuple(_check_denials(tests, denials, None)))


def _make_client(config: AwsConfig) -> BaseClient | ConnectorError:
    try:
        return make_sts_client(config.region, INTERACTIVE)
    except Exception as error:  # noqa: BLE001 - this reads the operator's own files, which may hold anything
        return to_connector_error(error, ApiCall("sts", "AssumeRole", {}))


def _without_client(error: ConnectorError) -> AssumeRoleResult:
    message = f"Not tried, because {OWN_CREDENTIALS} failed."
    others = (skipped(name, message) for name in (ASSUME_ROLE, EXTERNAL_ID_REQUIRED, EXTERNAL_ID_EXACT))
    return AssumeRoleResult(checks=(failed(OWN_CREDENTIALS, error), *others), failed_check=OWN_CREDENTIALS)


def _open(session: RoleSession, pauses: Sequence[float], wait: Callable[[float], object]) -> ConnectorError | None:
    """Open the session; return the error if AWS denies it."""
    for pause in (*pauses, None):
        try:
            session.open()
        except ConnectorError as error:
            if pause is None or not isinstance(error, RoleDeniedError):
                return error
            wait(pause)
        else:
            break
    return None


def _negative_tests(external_id: str) -> tuple[_NegativeTest, ...]:
    """Return all requests that must be denied.

    An external ID that differs at one end reveals a wildcard there, even if no policy can be read.
    """
    first, last = (_other_than(external_id[at]) for at in (0, -1))
    return (
        _NegativeTest(EXTERNAL_ID_REQUIRED, "without an external ID"),
        _NegativeTest(EXTERNAL_ID_EXACT, "with a random external ID", str(uuid.uuid4())),
        _NegativeTest(
            EXTERNAL_ID_EXACT, "with the first character of the external ID changed", f"{first}{external_id[1:]}"
        ),
        _NegativeTest(
            EXTERNAL_ID_EXACT, "with the last character of the external ID changed", f"{external_id[:-1]}{last}"
        ),
    )


def _other_than(character: str) -> str:
    return "b" if character in "aA" else "a"


def _request(client: BaseClient, config: AwsConfig, purpose: str, external_id: str | None) -> ConnectorError | None:
    """Request the role and discard the credentials; return the error, or None if AWS returned credentials."""
    answer = _ask(
        client,
        "AssumeRole",
        RoleArn=config.role_arn,
        RoleSessionName=f"ploy-{purpose}-{uuid.uuid4().hex[:12]}",
        DurationSeconds=_SHORTEST_SECONDS,
        Policy=_DENY_ALL,
        **({"ExternalId": external_id} if external_id else {}),
    )
    return answer if isinstance(answer, ConnectorError) else None


def _read_owner(client: BaseClient) -> _Owner:
    """Read which account owns the connector's credentials. A Region that it has not enabled does not know them."""
    answer = _ask(client, "GetCallerIdentity")
    if isinstance(answer, ConnectorError) and client.meta.region_name != _ALWAYS_ENABLED:
        client_elsewhere = make_sts_client(_ALWAYS_ENABLED, INTERACTIVE)
        elsewhere = _ask(client_elsewhere, "GetCallerIdentity")
        client_elsewhere.close()
        if not isinstance(elsewhere, ConnectorError):
            return _Owner(elsewhere["Account"], answer)
    return _Owner(error=answer) if isinstance(answer, ConnectorError) else _Owner(answer["Account"])


def _ask(client: BaseClient, operation: str, **parameters: Any) -> dict[str, Any] | ConnectorError:
    try:
        answer: dict[str, Any] = getattr(client, xform_name(operation))(**parameters)
    except ClientError as error:
        return assume_role_failed(ErrorResponse.from_error(error))
    except Exception as error:  # noqa: BLE001 - anything else is no answer of AWS
        return to_connector_error(error, ApiCall("sts", operation, {}))
    return answer


def _check_owner(owner: _Owner, region: str, entry_error: ConnectorError | None) -> Check:
    name = OWN_CREDENTIALS
    if owner.error and (entry_error is None or isinstance(entry_error, RoleDeniedError)):
        message = "Ploy's own AWS credentials are valid: AWS checked the role. The account that owns them is unknown."
        return Check(name=name, outcome="passed", message=message)
    if owner.account_id and owner.error:
        return Check(
            name=name,
            outcome="failed",
            message=f"Ploy's own AWS credentials are valid, but not known in {region}, the Region of the settings: it "
            "is not enabled for Ploy's own AWS account.",
            fix=f"Name a Region in the settings that every AWS account has, e.g. {_ALWAYS_ENABLED}; or the operator of "
            f"the connector enables {region}.",
            request_id=owner.error.request_id,
        )
    if owner.error:
        return failed(name, owner.error)
    if owner.account_id != PLOY_ACCOUNT_ID:
        return Check(
            name=name,
            outcome="warning",
            message=f"Ploy's own AWS credentials are valid, but belong to the AWS account {owner.account_id}, not to "
            f"Ploy's account {PLOY_ACCOUNT_ID}, which a customer's role trusts.",
            fix=f"The operator of the connector must provide credentials of the AWS account {PLOY_ACCOUNT_ID}.",
        )
    return Check(name=name, outcome="passed", message="Ploy's own AWS credentials are valid, and of Ploy's account.")


def _check_entry(config: AwsConfig, error: ConnectorError | None, failed_check: str | None) -> Check:
    if failed_check == OWN_CREDENTIALS:
        return skipped(ASSUME_ROLE, f"AWS did not check the role, because {OWN_CREDENTIALS} failed.")
    if error is None:
        message = f"The role {config.role_arn} was assumed with its external ID."
        return Check(name=ASSUME_ROLE, outcome="passed", message=message)
    check = failed(ASSUME_ROLE, error)
    if isinstance(error, NotTrustedError):
        return check.model_copy(update={"fix": f"{check.fix} If they are the same: {TRUST_POLICY_FIX}"})
    return check


def _check_denials(
    tests: Sequence[_NegativeTest], errors: Sequence[ConnectorError | None], failed_check: str | None
) -> Iterator[Check]:
    """Make one check of all requests that belong to it."""
    for name in _RISKS:
        tried = {each.how: error for each, error in zip(tests, errors, strict=True) if each.check == name}
        yield _check_denied(name, tried, failed_check)


def _check_denied(name: str, tried: Mapping[str, ConnectorError | None], failed_check: str | None) -> Check:
    """Check the requests that must be denied: one that is not fails the check, and all must be proven to pass it."""
    succeeded = [how for how, error in tried.items() if error is None]
    if succeeded:
        return Check(
            name=name,
            outcome="failed",
            message=f"The role can be assumed {_join(succeeded, 'and')}: {_RISKS[name]}. The connector discarded the "
            "credentials unused. The integration must not be used until the trust policy is fixed.",
            fix=f"{_JUST_CHANGED} {TRUST_POLICY_FIX}",
            is_blocking=True,
        )
    if failed_check:
        how = _join(tried, "or")
        return skipped(name, f"AWS denied the role {how}, which proves nothing, because {failed_check} failed.")
    for how, error in tried.items():
        if error and (isinstance(error, DeniedByCallerAccountError) or not isinstance(error, RoleDeniedError)):
            message = f"Unknown whether the role can be assumed {how}. {error.message}"
            return failed(name, error).model_copy(update={"message": message})
    return Check(
        name=name,
        outcome="passed",
        message=f"The role cannot be assumed {_join(tried, 'or')}: AWS denied it.",
        request_id=next((error.request_id for error in tried.values() if error), None),
    )


def _join(items: Iterable[str], conjunction: str) -> str:
    *first, last = items
    return f"{', '.join(first)} {conjunction} {last}" if first else last
