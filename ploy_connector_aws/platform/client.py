"""The calls of the contract, as methods. Each can be made again without harm, and is, where the answer was lost."""

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
from .connections import keep_limits
from .errors import REFUSALS, PlatformRejectedError, PlatformUnavailableError, TokenRejectedError
from .response_body import read_body
from .retry import RETRIED_STATUSES, RetryPolicy

_Answer = TypeVar("_Answer", bound=BaseModel)

_TIMEOUT = httpx.Timeout(30, connect=10)
EXCHANGE_SECONDS = 60.0
"""How long one attempt at a call may take as a whole, whatever arrives meanwhile."""
POLL_MARGIN_SECONDS = 15.0
"""How much longer a question for tasks may take than Ploy may wait with its answer."""
_LONGEST_TEXT = 300


class PlatformClient:
    """Ploy, for one token. Used by one thread at a time; a context manager that closes its connections.

    Args:
        url: Ploy's address, without ``/connector/v1``.
        token_source: Where the token comes from.
        transport: Takes the place of the network, for tests.
        timeout: Time limits of each wait in one attempt.
        exchange_seconds: Time limit of one attempt as a whole: from connecting to the last byte of the answer.
        retry: How often and when a call is made again.
        on_attempt: Told of each attempt: which call of the contract, and the status of the answer or 'unreachable'.
        watch: Gives what is entered around each attempt, from the name of the call.

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
        # A proxy has no way to this machine's own loopback.
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
                follow_redirects=False,  # one would take the token along
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
        """Use as a context manager: closes the connections at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # Every method raises TokenRejectedError, PlatformUnavailableError, PlatformRejectedError; docstrings add others.

    def integrations(self) -> wire.Integrations:
        """Read which integrations this token serves, with their settings."""
        return self._call("integrations", "GET", "/integrations", wire.Integrations)

    def create_integration(self, request: wire.IntegrationRequest) -> wire.SetUpStatus:
        """Begin to set up an integration of a connector whose manifest was sent; Ploy generates its external ID."""
        return self._call("create_integration", "POST", "/integrations", wire.SetUpStatus, request)

    def change_settings(self, integration_id: str, request: wire.SettingsChange) -> wire.SetUpStatus:
        """Keep settings that a person entered in a set-up, and have Ploy ask for a connection test of them."""
        return self._call("change_settings", "PATCH", _of(integration_id), wire.SetUpStatus, request)

    def hello(self, integration_id: str, request: wire.HelloRequest) -> wire.HelloAnswer:
        """Introduce the runtime, and learn limits, intervals and flags.

        Raises:
            UnknownIntegrationError: The token serves no such integration.
            SetupUnfinishedError: No connection test of its settings was passed yet.
        """
        return self._call("hello", "POST", f"{_of(integration_id)}/hello", wire.HelloAnswer, request)

    def put_manifest(self, manifest: Manifest) -> wire.ManifestAccepted:
        """Say which connector this runtime has, so that it can be set up."""
        path = f"/connectors/{_quoted(manifest.name)}"
        return self._call("put_manifest", "PUT", path, wire.ManifestAccepted, manifest)

    def report_refused(self, refused: wire.RefusedConnectors) -> wire.RefusedKept:
        """Report which installed connectors this runtime cannot use, and why."""
        return self._call("report_refused", "PUT", "/connectors", wire.RefusedKept, refused)

    def report_check(self, integration_id: str, progress: wire.CheckProgress) -> wire.CheckStatus:
        """Report how a connection test goes, also while it grows.

        Raises:
            CheckEndedError: The check ended already, with another report.
        """
        return self._call("report_check", "POST", f"{_of(integration_id)}/checks", wire.CheckStatus, progress)

    def open_sync(self, integration_id: str, request: wire.OpenSync) -> wire.OpenedSync:
        """Open a staging area. The same run gets the same one; another run of the same opener replaces it.

        Raises:
            SyncTakenError: Another runtime is handing over.
            StaleBaseError: The base of a delta is not the newest generation.
            OutcomeMismatchError, StaleReadError: As with ``commit``, where the request commits at once.
        """
        path = f"{_of(integration_id)}/syncs"
        return self._call("open_sync", "POST", path, wire.OpenedSync, request, is_waited_for=request.commit is not None)

    def put_batch(self, integration_id: str, sync_id: str, number: int, body: bytes) -> wire.BatchAnswer:
        """Stage one batch.

        Args:
            integration_id: Whose.
            sync_id: The open sync.
            number: The batch's place, from 1.
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
        return self._answer(
            "put_batch",
            self._http.build_request("PUT", self._base + path, content=body, headers=headers),
            wire.BatchAnswer,
            self._exchange_seconds,
        )

    def sync_status(self, integration_id: str, sync_id: str) -> wire.SyncStatus | None:
        """Read where a sync stands; None when the platform does not know it."""
        try:
            return self._call("sync_status", "GET", _of(integration_id, sync_id), wire.SyncStatus)
        except PlatformRejectedError as refusal:
            if refusal.code == "sync_unknown":
                return None
            raise

    def commit(self, integration_id: str, sync_id: str, request: wire.Commit) -> wire.CommitAnswer:
        """Make what was staged visible, or have it held for a person.

        Args:
            integration_id: Whose.
            sync_id: The open sync.
            request: What was staged.

        Raises:
            StaleBaseError: The base of a delta is not the newest generation any more.
            OutcomeMismatchError: The platform's comparison does not find what was expected.
            StaleReadError: What is visible was read later.
            SyncGoneError: The sync was replaced, aborted or rejected.
        """
        path = f"{_of(integration_id, sync_id)}/commit"
        return self._call("commit", "POST", path, wire.CommitAnswer, request, is_waited_for=True)

    def abort(self, integration_id: str, sync_id: str) -> wire.SyncStatus:
        """Drop what was staged. A sync that was committed or held stays as it is."""
        return self._call("abort", "POST", f"{_of(integration_id, sync_id)}/abort", wire.SyncStatus)

    def lease_tasks(self, integration_id: str, request: wire.LeaseRequest) -> wire.LeaseAnswer:
        """Ask for tasks; waits as long as the request says, when there are none."""
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
        """Keep a task.

        Raises:
            TaskGoneError: The lease was lost.
        """
        return self._call(
            "extend_lease", "POST", f"{_task(integration_id, task_id)}/extend", wire.LeaseExtended, request
        )

    def complete_task(self, integration_id: str, task_id: str, request: wire.TaskDone) -> wire.TaskStatus:
        """Report that a task was done.

        Raises:
            TaskGoneError: The lease was lost, or another report arrived.
        """
        return self._call(
            "complete_task", "POST", f"{_task(integration_id, task_id)}/complete", wire.TaskStatus, request
        )

    def fail_task(self, integration_id: str, task_id: str, request: wire.TaskFailed) -> wire.TaskStatus:
        """Report that a person must look at a task.

        Raises:
            TaskGoneError: The lease was lost, or another report arrived.
        """
        return self._call("fail_task", "POST", f"{_task(integration_id, task_id)}/fail", wire.TaskStatus, request)

    def _call(
        self,
        call: str,
        method: str,
        path: str,
        answer: type[_Answer],
        body: BaseModel | None = None,
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
            body: The request.
            exchange_seconds: The total limit of one attempt, where it is not the usual one.
            is_waited_for: Ploy may be silent up to that limit: it compares everything, or waits for tasks.
        """
        limit = exchange_seconds or self._exchange_seconds
        request = self._http.build_request(
            method,
            self._base + path,
            content=body.model_dump_json().encode() if body else None,
            headers={"content-type": "application/json"} if body else None,
            timeout=httpx.Timeout(limit, connect=self._http.timeout.connect) if is_waited_for else self._http.timeout,
        )
        return self._answer(call, request, answer, limit)

    def _answer(self, call: str, request: httpx.Request, answer: type[_Answer], limit: float) -> _Answer:
        try:
            return answer.model_validate_json(self._send(call, request, limit))
        except ValidationError as error:
            raise PlatformUnavailableError(
                f"Ploy's answer to {_named(request)} does not fit the contract: {field_of(error)}.",
                fix="check platform.url: something else may be answering there",
            ) from None

    def _send(self, call: str, request: httpx.Request, limit: float) -> bytes:
        """Send until there is an answer that is final. The limit is that of each attempt."""
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
                    raise _refusal(request, status, body, retry_after)
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
    """Quote a part of a path. Parts of dots only would lead to another path, so their dots are quoted, too."""
    return quote(name, safe="") if name.strip(".") else name.replace(".", "%2E")


def _named(request: httpx.Request) -> str:
    return f"{request.method} {request.url.path}"


def _refusal(
    request: httpx.Request, status: int, body: bytes, retry_after: float | None
) -> PlatformRejectedError | TokenRejectedError:
    if status == 401:
        return TokenRejectedError(
            "Ploy does not accept the token.", fix="create a new token on Ploy's integrations page"
        )
    if 300 <= status < 400:
        return PlatformRejectedError(
            f"Ploy redirects {_named(request)} elsewhere; the token is not sent there.",
            problem=wire.Problem(status=status),
            fix="check platform.url",
        )
    try:
        problem = wire.Problem.model_validate_json(body)
    except ValidationError:
        problem = wire.Problem(status=status)
    said = " ".join(part for part in (problem.title, problem.detail) if part) or f"status {status}"
    for line in problem.errors[:3]:
        said += f" Line {line.line}: {line.reason}"
    return REFUSALS.get(problem.code or "", PlatformRejectedError)(
        f"Ploy refused {_named(request)}: {said[:_LONGEST_TEXT]}", problem=problem, retry_after_seconds=retry_after
    )


def _trusted(trusts_environment: bool) -> ssl.SSLContext:
    """Whose certificates are believed: those that the environment names or, for all clients alike, the public ones."""
    if trusts_environment and any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")):
        return httpx.create_ssl_context()
    return _publicly_trusted()


@functools.cache
def _publicly_trusted() -> ssl.SSLContext:
    """Read the public authorities once: that takes as long as some ten calls."""
    return httpx.create_ssl_context(trust_env=False)
