"""The client of Ploy's HTTP API. All calls are idempotent, and are retried if the answer was lost."""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from ploy_connector_aws.deadlines import time_limit
from ploy_connector_aws.spec import Manifest
from ploy_connector_aws.spec.bounds import field_of
from ploy_connector_aws.spec.errors import ConfigurationError

from . import wire
from .auth import TokenSource, checked_url, is_loopback
from .connections import keep_limits, read_body
from .errors import REFUSALS, PlatformRejectedError, PlatformUnavailableError, TokenRejectedError
from .retry import RETRIED_STATUSES, RetryPolicy

_Answer = TypeVar("_Answer", bound=BaseModel)

_TIMEOUT = httpx.Timeout(30, connect=10)
EXCHANGE_SECONDS = 60.0
"""Time limit of one attempt as a whole, even while data arrives."""
POLL_MARGIN_SECONDS = 15.0
"""Added to the wait of a long poll, as the time limit of its request."""
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=3)
"""Idle connections are closed before a server does it: many do after 5 seconds, and would reset a request that is sent
at that moment."""

_LONGEST_TEXT = 300


class PlatformClient:
    """A client of Ploy for one token. Used by one thread at a time; a context manager that closes its connections.

    Args:
        url: Ploy's address, without ``/connector/v1``.
        token_source: The source of the token.
        transport: Replaces the network, for tests.
        timeout: Time limits of each wait within an attempt.
        exchange_seconds: Time limit of one attempt as a whole: from connecting to the last byte of the answer.
        retry: How often and when a call is retried.
        on_attempt: Called after each attempt with the name of the call, and the status of the answer or 'unreachable'.
        watch: Returns the context manager for each attempt, by the name of the call.

    Raises:
        ConfigurationError: The address or the proxy settings cannot be used.
    """

    def __init__(
        self,
        url: str,
        token_source: TokenSource,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: httpx.Timeout = _TIMEOUT,
        exchange_seconds: float = EXCHANGE_SECONDS,
        retry: RetryPolicy | None = None,
        on_attempt: Callable[[str, str], None] | None = None,
        watch: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
    ) -> None:
        # A proxy cannot reach this machine's loopback.
        trusts_environment = not is_loopback(checked_url(url).hostname or "")
        self._base = url.rstrip("/") + wire.API_PREFIX
        self._tokens = token_source
        self._retry = retry or RetryPolicy()
        self._exchange_seconds = exchange_seconds
        self._watch = watch
        self._on_attempt = on_attempt or (lambda _call, _status: None)
        try:
            self._http = httpx.Client(
                verify=_trusted(trusts_environment),
                transport=transport,
                timeout=timeout,
                limits=_LIMITS,
                follow_redirects=False,  # a redirect would carry the token
                trust_env=trusts_environment,
                headers={
                    "user-agent": "ploy-connector",
                    "accept": f"application/json, {wire.PROBLEM_JSON}",
                    "accept-encoding": "gzip",
                },
            )
            keep_limits(self._http)
        except (ValueError, OSError) as error:
            raise ConfigurationError(
                f"The proxy or certificate settings of the environment cannot be used ({type(error).__name__}).",
                fix="check HTTPS_PROXY, NO_PROXY and SSL_CERT_FILE",
            ) from None

    def __enter__(self) -> PlatformClient:
        """Return the client; its connections are closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # Every method raises TokenRejectedError, PlatformUnavailableError, PlatformRejectedError; docstrings name others.

    def integrations(self) -> wire.Integrations:
        """Read the integrations of this token, with their settings."""
        return self._call("integrations", "GET", "/integrations", wire.Integrations)

    def create_integration(self, request: wire.IntegrationRequest) -> wire.SetUpStatus:
        """Begin the set-up of an integration whose connector's manifest was sent; Ploy generates its external ID."""
        return self._call("create_integration", "POST", "/integrations", wire.SetUpStatus, request)

    def change_settings(self, integration_id: str, request: wire.SettingsChange) -> wire.SetUpStatus:
        """Store settings that a person entered in a set-up; Ploy then requests a connection test of them."""
        return self._call("change_settings", "PATCH", _of(integration_id), wire.SetUpStatus, request)

    def hello(self, integration_id: str, request: wire.HelloRequest) -> wire.HelloAnswer:
        """Register the runtime for one integration, and read limits, intervals and flags.

        Raises:
            UnknownIntegrationError: The token serves no such integration.
            SetupUnfinishedError: Its settings have not passed a connection test yet.
        """
        return self._call("hello", "POST", f"{_of(integration_id)}/hello", wire.HelloAnswer, request)

    def put_manifest(self, manifest: Manifest) -> wire.ManifestAccepted:
        """Send the manifest of an installed connector, so that it can be set up."""
        path = f"/connectors/{_quoted(manifest.name)}"
        return self._call("put_manifest", "PUT", path, wire.ManifestAccepted, manifest)

    def report_refused(self, refused: wire.RefusedConnectors) -> wire.RefusedKept:
        """Report the installed connectors that this runtime cannot use, with the reasons."""
        return self._call("report_refused", "PUT", "/connectors", wire.RefusedKept, refused)

    def report_check(self, integration_id: str, progress: wire.CheckProgress) -> wire.CheckStatus:
        """Report the progress or the result of a connection test.

        Raises:
            CheckEndedError: The test has ended with another report.
        """
        return self._call("report_check", "POST", f"{_of(integration_id)}/checks", wire.CheckStatus, progress)

    def open_sync(self, integration_id: str, request: wire.OpenSync) -> wire.OpenedSync:
        """Open a staging area. The same run gets the same one; another run of the same opener replaces it.

        Raises:
            SyncTakenError: Another runtime is uploading.
            StaleBaseError: The base of a delta is not the newest generation.
            OutcomeMismatchError, StaleReadError: As with ``commit``, where the request commits at once.
        """
        path = f"{_of(integration_id)}/syncs"
        return self._call("open_sync", "POST", path, wire.OpenedSync, request, is_waited_for=request.commit is not None)

    def put_batch(self, integration_id: str, sync_id: str, number: int, body: bytes) -> wire.BatchAnswer:
        """Stage one batch.

        Args:
            integration_id: The integration.
            sync_id: The open sync.
            number: The number of the batch, from 1.
            body: Its lines, packed.

        Raises:
            BatchConflictError: Another batch has this number.
            SyncGoneError: The sync was replaced or aborted.
        """
        headers = {
            "content-type": wire.NDJSON,
            "content-encoding": "gzip",
            "content-digest": wire.to_content_digest(wire.digest_of(body)),
        }
        path = f"{_of(integration_id, sync_id)}/batches/{number}"
        return self._call("put_batch", "PUT", path, wire.BatchAnswer, body, headers)

    def sync_status(self, integration_id: str, sync_id: str) -> wire.SyncStatus | None:
        """Read the state of a sync; None if the platform does not know it."""
        try:
            return self._call("sync_status", "GET", _of(integration_id, sync_id), wire.SyncStatus)
        except PlatformRejectedError as error:
            if error.code == "sync_unknown":
                return None
            raise

    def commit(self, integration_id: str, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        """Make the staged run visible, or have it held for review.

        Args:
            integration_id: The integration.
            sync_id: The open sync.
            request: What was staged.

        Raises:
            StaleBaseError: The base of a delta is no longer the newest generation.
            OutcomeMismatchError: The platform's comparison has another result than expected.
            StaleReadError: The visible generation was read later.
            SyncGoneError: The sync was replaced, aborted or rejected.
        """
        path = f"{_of(integration_id, sync_id)}/commit"
        return self._call("commit", "POST", path, wire.CommitAnswer, request, is_waited_for=True)

    def abort(self, integration_id: str, sync_id: str) -> wire.SyncStatus:
        """Discard what was staged. A committed or held sync stays as it is."""
        return self._call("abort", "POST", f"{_of(integration_id, sync_id)}/abort", wire.SyncStatus)

    def findings(self, integration_id: str, after: int | None = None) -> wire.Findings:
        """Read one page of the findings with their states: the first one, or the one after ``next_after``."""
        query = "" if after is None else f"?after={after}"
        return self._call("findings", "GET", f"{_of(integration_id)}/findings{query}", wire.Findings)

    def lease_tasks(self, integration_id: str, request: wire.LeaseRequest) -> wire.LeaseAnswer:
        """Lease tasks by a long poll: waits up to the time in the request if there are none."""
        return self._call(
            "lease_tasks",
            "POST",
            f"{_of(integration_id)}/tasks/lease",
            wire.LeaseAnswer,
            request,
            exchange_seconds=request.wait_seconds + POLL_MARGIN_SECONDS,
            is_waited_for=True,
        )

    def extend_lease(self, integration_id: str, task_id: str, request: wire.LeaseExtension) -> wire.LeaseExtended:
        """Extend the lease of a task.

        Raises:
            TaskGoneError: The lease was lost.
        """
        return self._call(
            "extend_lease", "POST", f"{_task(integration_id, task_id)}/extend", wire.LeaseExtended, request
        )

    def complete_task(self, integration_id: str, task_id: str, request: wire.TaskDone) -> wire.TaskStatus:
        """Report a task as done.

        Raises:
            TaskGoneError: The lease was lost, or another report arrived.
        """
        return self._call(
            "complete_task", "POST", f"{_task(integration_id, task_id)}/complete", wire.TaskStatus, request
        )

    def fail_task(self, integration_id: str, task_id: str, request: wire.TaskFailed) -> wire.TaskStatus:
        """Report a task as failed; it becomes a manual task.

        Raises:
            TaskGoneError: The lease was lost, or another report arrived.
        """
        return self._call("fail_task", "POST", f"{_task(integration_id, task_id)}/fail", wire.TaskStatus, request)

    def report_change(self, integration_id: str, report: wire.ChangeReport) -> wire.ChangeRecorded:
        """Report a grant or a revoke that was made without a task."""
        return self._call("report_change", "POST", f"{_of(integration_id)}/changes", wire.ChangeRecorded, report)

    def _call(
        self,
        call: str,
        method: str,
        path: str,
        answer: type[_Answer],
        body: BaseModel | bytes | None = None,
        headers: dict[str, str] | None = None,
        *,
        exchange_seconds: float | None = None,
        is_waited_for: bool = False,
    ) -> _Answer:
        """Make a call.

        Args:
            call: The name of the call, for who counts.
            method: Of HTTP.
            path: Below the prefix of the contract.
            answer: The model of the answer.
            body: The request; JSON, unless the headers state another media type.
            headers: Those of the body.
            exchange_seconds: The total limit of one attempt, where it is not the usual one.
            is_waited_for: Ploy may be silent up to that limit: it compares everything, or waits for tasks.
        """
        limit = exchange_seconds or self._exchange_seconds
        request = self._http.build_request(
            method,
            self._base + path,
            content=body.model_dump_json().encode() if isinstance(body, BaseModel) else body,
            headers=headers or ({"content-type": "application/json"} if body else None),
            timeout=httpx.Timeout(limit, connect=self._http.timeout.connect) if is_waited_for else self._http.timeout,
        )
        try:
            return answer.model_validate_json(self._send(call, request, limit))
        except ValidationError as error:
            raise PlatformUnavailableError(
                f"Ploy's answer to {_named(request)} violates the contract: {field_of(error)}.",
                fix="check platform.url: another service may be answering there",
            ) from None

    def _send(self, call: str, request: httpx.Request, limit: float) -> bytes:
        """Send and retry until a final answer. The limit is for each attempt."""
        began, attempts, is_renewed = self._retry.monotonic(), 0, False
        while True:
            request.headers["authorization"] = f"Bearer {self._tokens.token().get_secret_value()}"
            attempts += 1
            retry_after: float | None = None
            try:
                with (
                    self._watch(call),
                    time_limit(limit),
                    closing(self._http.send(request, stream=True)) as response,
                ):
                    status, body = response.status_code, read_body(response)
            except httpx.RequestError as error:
                self._on_attempt(call, "unreachable")
                reason = f"could not be reached: {type(error).__name__} {str(error)[:_LONGEST_TEXT]}".rstrip()
            else:
                self._on_attempt(call, str(status))
                retry_after = self._retry.from_retry_after(response.headers.get("retry-after"))
                if 200 <= status < 300:
                    return body
                if status == 401 and not is_renewed and self._tokens.renew():
                    is_renewed = True
                    continue
                if status not in RETRIED_STATUSES:
                    raise _rejected(request, status, body, retry_after)
                reason = f"answered {status}"
            wait = self._retry.wait_seconds(attempts, self._retry.monotonic() - began, retry_after)
            if wait is None:
                raise PlatformUnavailableError(
                    f"Ploy {reason} (attempt {attempts} of {_named(request)}).", retry_after_seconds=retry_after
                )
            self._retry.sleep(wait)


def _of(integration_id: str, sync_id: str | None = None) -> str:
    path = f"/integrations/{_quoted(integration_id)}"
    return path if sync_id is None else f"{path}/syncs/{_quoted(sync_id)}"


def _task(integration_id: str, task_id: str) -> str:
    return f"{_of(integration_id)}/tasks/{_quoted(task_id)}"


def _quoted(name: str) -> str:
    """Quote a part of a path; also its dots if it has nothing else, as they would lead to another path."""
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def _named(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"


def _rejected(
    request: httpx.Request, status: int, body: bytes, retry_after: float | None
) -> PlatformRejectedError | TokenRejectedError:
    if status == 401:
        return TokenRejectedError(
            "Ploy does not accept the token.", fix="create a new token on Ploy's integrations page"
        )
    if 300 <= status < 400:
        return PlatformRejectedError(
            f"Ploy redirects {_named(request)} elsewhere; the token was not sent there.",
            problem=wire.Problem(status=status),
            fix="check platform.url",
        )
    try:
        problem = wire.Problem.model_validate_json(body)
    except ValidationError:
        problem = wire.Problem(status=status)
    reason = " ".join(part for part in (problem.title, problem.detail) if part) or f"status {status}"
    for line in problem.errors[:3]:
        reason += f" Line {line.line}: {line.reason}"
    return REFUSALS.get(problem.code or "", PlatformRejectedError)(
        f"Ploy rejected {_named(request)}: {reason[:_LONGEST_TEXT]}", problem=problem, retry_after_seconds=retry_after
    )


def _trusted(trusts_environment: bool) -> ssl.SSLContext:
    """The TLS context: with the certificates that the environment names or else the public ones."""
    if trusts_environment and any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")):
        return httpx.create_ssl_context()
    return _publicly_trusted()


@functools.cache
def _publicly_trusted() -> ssl.SSLContext:
    """The public authorities, read once: reading takes as long as some ten calls."""
    return httpx.create_ssl_context(trust_env=False)
