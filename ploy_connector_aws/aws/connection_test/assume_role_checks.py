"""Who may enter the role: Ploy with the external id, and nobody without it or with another one.

A denial proves something only beside the entry that succeeds in the same run. What a test that ought to fail is given
all the same is worth nothing, as its session policy denies everything, and is dropped before anybody could use it.
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

from .checks import failed, skipped
from .trust_policy_check import TRUST_POLICY_FIX

OWN_CREDENTIALS = "own-credentials"
ASSUME_ROLE = "assume-role"

_ALWAYS_ENABLED = "us-east-1"
_SHORTEST_SECONDS = 900
_NOTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}'
_JUST_CHANGED = (
    "If the trust policy was changed within the last minute, try again: a change in IAM takes a while to work. Else:"
)

_DANGERS = {
    EXTERNAL_ID_REQUIRED: "anybody who makes Ploy ask for this role would be let in",
    EXTERNAL_ID_EXACT: "another customer of Ploy could name this role, and would be let in with an external ID of "
    "their own",
}
"""What it would mean if what must be denied worked."""


@dataclass(frozen=True)
class Entry:
    """What came of entering the role; `failed_check` names the check that says why it was not entered."""

    checks: tuple[Check, ...]
    failed_check: str | None = None


@dataclass(frozen=True)
class _Attempt:
    """One way to ask for the role that must be denied, and the check that it belongs to."""

    check: str
    how: str
    external_id: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class _Owner:
    """Whose Ploy's own credentials are, or why that could not be found out."""

    account_id: str | None = None
    error: ConnectorError | None = None


def read_entry(session: RoleSession, pauses: Sequence[float], wait: Callable[[float], object]) -> Entry:
    """Enter the role as a sync does, and try to enter it in the ways that must fail.

    Args:
        session: The session that is to be entered.
        pauses: Seconds to wait before each further attempt, as a new role cannot be entered at once (AWS.md 5.6).
        wait: Sleeps.
    """
    config = session.config
    try:
        client = make_sts_client(config.region, INTERACTIVE)
    except Exception as error:  # noqa: BLE001 - the operator's own files are read here, which may say anything
        return _not_even_asked(to_connector_error(error, ApiCall("sts", "AssumeRole", {})))
    attempts = _attempts(config.external_id.get_secret_value())
    with ThreadPoolExecutor(len(attempts) + 1) as threads:
        owner = threads.submit(_read_owner, client)
        refusal = _enter(session, pauses, wait)
        # Only now: before a new role is known everywhere, everybody is denied it.
        asked = [threads.submit(_try_entering, client, config, "refuse", each.external_id) for each in attempts]
    client.close()
    of_owner = _judge_owner(owner.result(), config.region, refusal)
    failed_check = OWN_CREDENTIALS if of_owner.outcome == "failed" else ASSUME_ROLE if refusal else None
    return Entry(
        checks=(
            of_owner,
            _judge_entry(config, refusal, failed_check),
            *_judge_attempts(attempts, [each.result() for each in asked], failed_check),
        ),
        failed_check=failed_check,
    )


def prove_entry(config: AwsConfig) -> ConnectionReport:
    """Make only the checks that must have passed before the role is used: five requests, and no session is kept.

    Args:
        config: The integration's settings.

    Raises:
        AuthenticationError: The role is not given out to this integration either.
        TemporaryError: Nor could that be found out.
    """
    found = _ask_for_proof(config)
    if isinstance(found, ConnectorError):
        raise found
    return found


def _ask_for_proof(config: AwsConfig) -> ConnectionReport | ConnectorError:
    try:
        client = make_sts_client(config.region, INTERACTIVE)
    except Exception as error:  # noqa: BLE001 - the operator's own files are read here, which may say anything
        return to_connector_error(error, ApiCall("sts", "AssumeRole", {}))
    try:
        refusal = _try_entering(client, config, "prove", config.external_id.get_secret_value())
        if refusal is not None:
            return refusal
        attempts = _attempts(config.external_id.get_secret_value())
        refusals = [_try_entering(client, config, "refuse", each.external_id) for each in attempts]
    finally:
        client.close()
    return ConnectionReport(checks=tuple(_judge_attempts(attempts, refusals, None)))


def _not_even_asked(error: ConnectorError) -> Entry:
    why = f"Not tried, as {OWN_CREDENTIALS} failed."
    others = (skipped(name, why) for name in (ASSUME_ROLE, EXTERNAL_ID_REQUIRED, EXTERNAL_ID_EXACT))
    return Entry(checks=(failed(OWN_CREDENTIALS, error), *others), failed_check=OWN_CREDENTIALS)


def _enter(session: RoleSession, pauses: Sequence[float], wait: Callable[[float], object]) -> ConnectorError | None:
    """Enter the role; gives the reason where it is not let in."""
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


def _attempts(external_id: str) -> tuple[_Attempt, ...]:
    """All that must be denied. What differs at one end shows a wildcard there, also where no policy can be read."""
    first, last = (_another(external_id[at]) for at in (0, -1))
    return (
        _Attempt(EXTERNAL_ID_REQUIRED, "without an external ID"),
        _Attempt(EXTERNAL_ID_EXACT, "with a random external ID", str(uuid.uuid4())),
        _Attempt(
            EXTERNAL_ID_EXACT, "with its own external ID but for the first character", f"{first}{external_id[1:]}"
        ),
        _Attempt(EXTERNAL_ID_EXACT, "with its own external ID but for the last character", f"{external_id[:-1]}{last}"),
    )


def _another(character: str) -> str:
    return "b" if character in "aA" else "a"


def _judge_attempts(
    attempts: Sequence[_Attempt], refusals: Sequence[ConnectorError | None], failed_check: str | None
) -> Iterator[Check]:
    """Make one check of all attempts that belong to it."""
    for name in _DANGERS:
        tried = {each.how: refusal for each, refusal in zip(attempts, refusals, strict=True) if each.check == name}
        yield _judge_refusals(name, tried, failed_check)


def _try_entering(
    client: BaseClient, config: AwsConfig, purpose: str, external_id: str | None
) -> ConnectorError | None:
    """Ask for the role, and drop what is given out; gives the error, or None where it was given out."""
    answer = _ask(
        client,
        "AssumeRole",
        RoleArn=config.role_arn,
        RoleSessionName=f"ploy-{purpose}-{uuid.uuid4().hex[:12]}",
        DurationSeconds=_SHORTEST_SECONDS,
        Policy=_NOTHING,
        **({"ExternalId": external_id} if external_id else {}),
    )
    return answer if isinstance(answer, ConnectorError) else None


def _read_owner(client: BaseClient) -> _Owner:
    """Ask whose Ploy's own credentials are. A Region that Ploy's account has not enabled does not know them."""
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
    except Exception as error:  # noqa: BLE001 - whatever it was, it is not an answer
        return to_connector_error(error, ApiCall("sts", operation, {}))
    return answer


def _judge_owner(owner: _Owner, region: str, entry: ConnectorError | None) -> Check:
    name = OWN_CREDENTIALS
    if owner.error and (entry is None or isinstance(entry, RoleDeniedError)):
        message = "Ploy's own AWS credentials are valid, as AWS looked at the role; whose they are is not known."
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


def _judge_entry(config: AwsConfig, error: ConnectorError | None, failed_check: str | None) -> Check:
    if failed_check == OWN_CREDENTIALS:
        return skipped(ASSUME_ROLE, f"AWS did not look at the role, as {OWN_CREDENTIALS} failed.")
    if error is None:
        return Check(
            name=ASSUME_ROLE,
            outcome="passed",
            message=f"The role {config.role_arn} was assumed with its external ID.",
        )
    check = failed(ASSUME_ROLE, error)
    if isinstance(error, NotTrustedError):
        return check.model_copy(update={"fix": f"{check.fix} If they are the same: {TRUST_POLICY_FIX}"})
    return check


def _judge_refusals(name: str, tried: Mapping[str, ConnectorError | None], failed_check: str | None) -> Check:
    """Judge the ways to ask for the role that must be denied: one that is not is enough, and each must be proven."""
    given_out = [how for how, refusal in tried.items() if refusal is None]
    if given_out:
        return Check(
            name=name,
            outcome="failed",
            message=f"The role was given out {_either(given_out, 'and')}: {_DANGERS[name]}. What AWS gave was dropped "
            "unused. The integration must not be used until the trust policy is mended.",
            fix=f"{_JUST_CHANGED} {TRUST_POLICY_FIX}",
            is_blocking=True,
        )
    if failed_check:
        how = _either(tried, "or")
        return skipped(name, f"The role was not given out {how}, which proves nothing, as {failed_check} failed.")
    for how, refusal in tried.items():
        if refusal and (isinstance(refusal, DeniedByCallerAccountError) or not isinstance(refusal, RoleDeniedError)):
            return failed(name, refusal).model_copy(
                update={"message": f"Whether the role is given out {how} could not be found out. {refusal.message}"}
            )
    return Check(
        name=name,
        outcome="passed",
        message=f"The role is not given out {_either(tried, 'or')}: AWS denied it.",
        request_id=next((refusal.request_id for refusal in tried.values() if refusal), None),
    )


def _either(ways: Iterable[str], word: str) -> str:
    *before, last = ways
    return f"{', '.join(before)} {word} {last}" if before else last
