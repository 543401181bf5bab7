"""Sessions of the assumed role, each with its own session policy, and their clients; the read-only session."""

from __future__ import annotations

import logging
import math
import pkgutil
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore
import botocore.retries
from botocore.client import BaseClient
from botocore.config import Config
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import NoCredentialsError
from botocore.hooks import BaseEventHooks
from botocore.loaders import Loader, create_loader
from botocore.model import OperationModel
from botocore.session import Session

from ploy_connector_aws import __version__
from ploy_connector_aws.aws.permissions import (
    ASSUME_ROLE,
    GET_CALLER_IDENTITY,
    READS,
    Action,
    guard_client,
    render_read_session_policy,
)
from ploy_connector_aws.config import PLOY_PARTITION, AwsConfig
from ploy_connector_aws.spec import ConnectorContext

from .api_errors import THROTTLED_CODES, ApiCall
from .errors import to_connector_error
from .exchanges import EXCHANGE_SECONDS, ExchangeSession
from .rate_limits import Throttle
from .response_check import check_responses
from .timestamps import parse_timestamp

SESSION_SECONDS = 3600
"""The maximum for a chained role. With 900 botocore would request a new session for every call (AWS.md 4)."""

CONNECTIONS = 32
"""More than the reading threads, so that none waits for a connection."""


@dataclass(frozen=True)
class CallProfile:
    """Time limits of one attempt at a call, the number of attempts, and the longest wait for the rate limiter."""

    connect_timeout_seconds: float
    read_timeout_seconds: float
    exchange_seconds: float
    """For one whole attempt, from connecting to the last byte."""
    attempts: int
    longest_wait_seconds: float = math.inf
    validates_parameters: bool = True
    """Whether botocore validates the parameters of each call, before AWS does."""


BACKGROUND = CallProfile(
    connect_timeout_seconds=5,
    read_timeout_seconds=30,
    exchange_seconds=EXCHANGE_SECONDS,
    attempts=9,
    validates_parameters=False,
)
"""For a sync: a failed call would make it start again. Its reads pass on ids as AWS listed them."""

INTERACTIVE = CallProfile(
    connect_timeout_seconds=3, read_timeout_seconds=10, exchange_seconds=30, attempts=4, longest_wait_seconds=60
)
"""For grants, revokes and checks: a person waits for them."""


class RoleSession:
    """The customer's role, assumed with a session policy, and refreshed while it is used.

    Args:
        config: The integration's settings.
        purpose: Part of the session's name, which the customer sees in CloudTrail.
        policy: The session policy.
        actions: What the session's clients may call; they refuse everything else before it is sent.
        profile: The limits of the session's calls.
        sts_profile: The limits of assuming the role, where they differ.
        context: The organisation it works for, and counters of its calls.
        parent: A session whose rate limiters and context this one uses, and that stops this one, too.
        precheck: Called before the role is assumed and before a client is returned; raises if it must not be used.
    """

    def __init__(
        self,
        config: AwsConfig,
        purpose: str,
        policy: str,
        actions: Sequence[Action],
        profile: CallProfile,
        sts_profile: CallProfile | None = None,
        *,
        context: ConnectorContext | None = None,
        parent: RoleSession | None = None,
        precheck: Callable[[], None] = lambda: None,
    ) -> None:
        self.config = config
        self._precheck = precheck
        self.context: ConnectorContext = context or (parent.context if parent else ConnectorContext())
        self.throttle: Throttle = (
            parent.throttle
            if parent
            else Throttle(
                config.account_id,
                organisation=self.context.organisation,
                longest_wait_seconds=profile.longest_wait_seconds,
            )
        )
        self._owns_throttle = parent is None
        self._name = f"ploy-{purpose}-{uuid.uuid4().hex[:12]}"
        self._policy = policy
        self._actions = actions
        self._profile = profile
        self._sts_profile = sts_profile or profile
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], BaseClient] = {}
        self._assumed: ExchangeSession | None = None

    def open(self) -> None:
        """Assume the role now.

        Raises:
            AuthenticationError: Ploy's own credentials are missing or wrong, or the role cannot be assumed.
            TemporaryError: AWS could not be reached or was busy.
            ConnectorError: The precheck failed.
        """
        self._precheck()
        try:
            self._session().get_credentials().get_frozen_credentials()
        except Exception as error:  # noqa: BLE001 - credential providers raise their own and others' exceptions
            failure = to_connector_error(error, ApiCall("sts", "AssumeRole", {}))
        else:
            return
        # Outside of the except block, as AWS's own text may quote the external id.
        raise failure

    def client(self, service: str, region: str | None = None) -> BaseClient:
        """Return the session's client of a service: always the same one, and safe to use from many threads.

        Args:
            service: AWS's name of the service, e.g. ``identitystore``.
            region: The Region, if not that of the settings.

        Raises:
            ConnectorError: The precheck failed.
        """
        self._precheck()
        region = region or self.config.region
        with self._lock:
            client = self._clients.get((service, region))
        if client is None:
            client = self._make_client(service, region)
            with self._lock:
                client = self._clients.setdefault((service, region), client)
        return client

    def make_client(self, service: str, region: str) -> BaseClient:
        """Make a client for one call in a Region that is not used again."""
        self._precheck()
        return self._make_client(service, region)

    def _make_client(self, service: str, region: str) -> BaseClient:
        session = self._session()
        with self._lock:
            client = _create_client(session, self._profile, self._actions, service, region_name=region)
        self.throttle.attach(client)
        _count_calls(client, self.context)
        return client

    def regions(self, service: str) -> list[str]:
        """List the Regions in which botocore knows a service."""
        return list(self._session().get_available_regions(service, PLOY_PARTITION))

    def close(self) -> None:
        """Refuse further calls, wake those that wait for a rate limiter, and close all connections."""
        if self._owns_throttle:
            self.throttle.stop()
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _session(self) -> ExchangeSession:
        with self._lock:
            if self._assumed is None:
                self._assumed = self._assume()
            return self._assumed

    def _assume(self) -> ExchangeSession:
        source = _new_session()
        credentials = source.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        fetcher = AssumeRoleCredentialFetcher(
            # The fetcher passes no Region; without this one it would use that of the operator's profile.
            lambda *args, **kwargs: self._make_source_client(source, *args, **kwargs),
            credentials,
            self.config.role_arn,
            # No SourceIdentity and no Tags: the customer's trust policy would have to allow each. No shared cache: its
            # key does not contain the source credentials (both AWS.md section 4).
            extra_args={
                "RoleSessionName": self._name,
                "ExternalId": self.config.external_id.get_secret_value(),
                "DurationSeconds": SESSION_SECONDS,
                "Policy": self._policy,
            },
        )
        assumed = _new_session()
        assumed._credentials = DeferredRefreshableCredentials(
            fetcher.fetch_credentials, "assume-role", time_fetcher=lambda: datetime.now(UTC)
        )
        return assumed

    def _make_source_client(self, source: ExchangeSession, *args: Any, **kwargs: Any) -> BaseClient:
        kwargs["region_name"] = self.config.region
        client = _create_client(source, self._sts_profile, [ASSUME_ROLE], *args, **kwargs)
        _count_calls(client, self.context)
        return client


class ReadSession(RoleSession):
    """A session whose policy allows reads only: it cannot write, whatever the role may do.

    Args:
        config: The integration's settings.
        purpose: Part of the session's name, which the customer sees in CloudTrail.
        profile: The limits of the session's calls.
        context: The organisation it works for, and counters of its calls.
        precheck: As in ``RoleSession``.
    """

    def __init__(
        self,
        config: AwsConfig,
        purpose: str = "sync",
        profile: CallProfile = BACKGROUND,
        *,
        context: ConnectorContext | None = None,
        precheck: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(
            config, purpose, render_read_session_policy(), READS, profile, context=context, precheck=precheck
        )


def make_sts_client(region: str, profile: CallProfile) -> BaseClient:
    """Make a client with Ploy's own credentials that can only call GetCallerIdentity and AssumeRole."""
    return _create_client(_new_session(), profile, [ASSUME_ROLE, GET_CALLER_IDENTITY], "sts", region_name=region)


def _new_session() -> ExchangeSession:
    _silence_botocore()
    # Registering botocore's handlers is most of what a session costs; copying them takes a tenth of the time.
    session = ExchangeSession(event_hooks=copy(_handlers()), include_builtin_handlers=False)
    # The service models are most of a session's memory: one loader for the process (AWS.md section 11.1).
    session.register_component("data_loader", _loader())
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=parse_timestamp)
    return session


@cache
def _handlers() -> BaseEventHooks:
    handlers = Session().get_component("event_emitter")
    # Every client inherits these handlers, including those with Ploy's own credentials.
    check_responses(handlers)
    return handlers


@cache
def _loader() -> Loader:
    return create_loader()


def _create_client(
    session: ExchangeSession, profile: CallProfile, actions: Sequence[Action], *args: Any, **kwargs: Any
) -> BaseClient:
    config = Config(
        retries={"mode": "standard", "total_max_attempts": profile.attempts},
        connect_timeout=profile.connect_timeout_seconds,
        read_timeout=profile.read_timeout_seconds,
        max_pool_connections=CONNECTIONS,
        parameter_validation=profile.validates_parameters,
        user_agent_extra=f"ploy-connector-aws/{__version__}",
    )
    client = session.create_client(*args, **kwargs, config=config, exchange_seconds=profile.exchange_seconds)
    guard_client(client, actions)
    _prepare_once(client)
    return client


def _prepare_once(client: BaseClient) -> None:
    """Keep what is the same in each call of an operation: its endpoint, and the name of this program."""
    # botocore has no public hook for either; `tests/aws/test_session.py` fails if one of them moves.
    client.meta.events.unregister(
        f"request-created.{client.meta.service_model.service_id.hyphenize()}",
        client._user_agent_creator.rebuild_and_replace_user_agent_handler,
    )
    resolver = client._ruleset_resolver
    resolve = resolver.construct_endpoint
    known: dict[str, Any] = {}

    def construct_endpoint(operation_model: OperationModel, call_args: Any, request_context: Any) -> Any:
        found = known.get(operation_model.name)
        if found is None:
            found = resolve(operation_model, call_args, request_context)
            if not (operation_model.context_parameters or operation_model.operation_context_parameters):
                known[operation_model.name] = found
        return found

    resolver.construct_endpoint = construct_endpoint


def _count_calls(client: BaseClient, context: ConnectorContext) -> None:
    """Make a client report each attempt of each call."""
    service = client.meta.service_model.service_name

    def report_call(event_name: str, **_: Any) -> None:
        # botocore would take any return value for AWS's response.
        context.on_call(service, event_name.rpartition(".")[2])

    def report_end(parsed_response: Mapping[str, Any] | None, event_name: str, **_: Any) -> None:
        # Emitted for an exception, too (botocore.endpoint.Endpoint._get_response).
        context.on_answer(service, event_name.rpartition(".")[2])
        if (parsed_response or {}).get("Error", {}).get("Code") in THROTTLED_CODES:
            context.on_throttle(service)

    client.meta.events.register("before-send.*.*", report_call)
    client.meta.events.register("response-received.*.*", report_end)


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _silence_botocore() -> None:
    """Drop botocore's debug records: they show the external ID, secret keys, session tokens and signatures.

    A level on a child logger overrides one on its parent; it does not override a filter on the logger itself. Each of
    botocore's modules has a logger of its own name, and new ones may log requests too, so every one gets the filter.
    """
    for name in _module_names():
        logging.getLogger(name).addFilter(_is_above_debug)


@cache
def _module_names() -> tuple[str, ...]:
    packages = (botocore, botocore.retries)
    return tuple(
        each.name for package in packages for each in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    )
