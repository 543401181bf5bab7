"""The hooks that a connector implements and a host calls.

A connector is a class named by an entry point of the group ``ploy_connector``. Its class attribute ``manifest`` can
be read without configuring anything; its instances carry the hook implementations, marked with ``hookimpl``. A host
makes one instance per integration and calls ``configure`` first, then the lists in the order below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any

import pluggy

from .changes import AccessChange, AccessRequest
from .context import ConnectorContext
from .pages import Page
from .reports import ConnectionReport, Progress

PROJECT_NAME = "ploy_connector"
"""The pluggy project name, and the entry-point group under which connectors are installed."""

hookspec = pluggy.HookspecMarker(PROJECT_NAME)
hookimpl = pluggy.HookimplMarker(PROJECT_NAME)
"""Marks a method as the implementation of the hook of its name."""


class ConnectorHooks:
    """The hook specification. ``configure``, ``test_connection`` and ``list_accounts`` are required.

    An implementation may leave out parameters it does not need. It must not give one a default, and takes no
    ``*args`` or ``**kwargs``: pluggy would call it without the value. All hooks raise errors of
    ``ploy_connector_aws.spec.errors`` and nothing else. The pages of every list may have ``Finding`` records, too.
    """

    @hookspec(firstresult=True)
    def configure(self, config: Mapping[str, Any], context: ConnectorContext) -> None:
        """Take the integration's settings.

        Called once, before every other hook, without any network.

        Args:
            config: The settings, as the manifest's ``config_schema`` describes them. Secrets included.
            context: The organisation, counters of calls and a folder for temporary files.

        Raises:
            ConfigurationError: A setting is wrong; ``field`` names it. The host shows the message and stops.

        Example:
            >>> connector.configure({"url": "https://directory.example", "token": "…"}, ConnectorContext())

        Since version 1.
        """

    @hookspec(firstresult=True)
    def test_connection(self, progress: Progress) -> ConnectionReport:  # type: ignore[empty-body]
        """Test what the connector needs, and report what is missing.

        Called when a person asks, after every change of settings, once a day by the service, and when in doubt. It
        changes nothing in the source.

        Args:
            progress: Call it with the checks so far, as often as you like.

        Returns:
            Named checks. A problem is a failed check with its fix, not an exception.

        Raises:
            ConnectorError: The test itself could not run; the host shows the message. It proves nothing, and a service
                uses nothing before a first test has run.

        Example:
            >>> connector.test_connection(ignore_progress).is_usable
            True

        Since version 1.
        """

    @hookspec(firstresult=True)
    def list_accounts(self, skip: Set[str]) -> Iterator[Page]:  # type: ignore[empty-body]
        """Read the people and machines.

        Called once per sync, first of the lists.

        Args:
            skip: Scopes that an interrupted run already read completely. They count as announced and complete; a
                skipped parent still announces its children. A skipped scope may be announced again; with an origin,
                a record or an end on a page it counts as read again, and what was read before is discarded. An
                implementation may ignore it.

        Returns:
            Pages with ``Account`` records, and records their rows refer to. A scope that ends complete without
            records states that there are none: everything it had before is removed.

        Raises:
            ConnectorError: Fails the scopes that are still open; the host continues with the others.

        Example:
            >>> for page in connector.list_accounts(skip=frozenset()):
            ...     store(page)

        Since version 1.
        """

    @hookspec(firstresult=True)
    def list_entitlements(self, skip: Set[str]) -> Iterator[Page]:  # type: ignore[empty-body]
        """Read the entitlements and their grants. Optional.

        Called once per sync, after ``list_accounts`` on the same instance, so ids may be kept between them (spooled
        when they can be many). Called alone, it reads for itself what it needs of the accounts.

        Args:
            skip: As in ``list_accounts``.

        Returns:
            Pages with ``Entitlement`` and ``Grant`` records, and the ``Resource`` records they open.

        Raises:
            ConnectorError: As in ``list_accounts``.

        Example:
            >>> for page in connector.list_entitlements(skip=frozenset()):
            ...     store(page)

        Since version 1.
        """

    @hookspec(firstresult=True)
    def list_resources(self, skip: Set[str]) -> Iterator[Page]:  # type: ignore[empty-body]
        """Read the things that entitlements open. Optional.

        Called once per sync, after ``list_entitlements``.

        Args:
            skip: As in ``list_accounts``.

        Returns:
            Pages with ``Resource`` records.

        Raises:
            ConnectorError: As in ``list_accounts``.

        Example:
            >>> for page in connector.list_resources(skip=frozenset()):
            ...     store(page)

        Since version 1.
        """

    @hookspec(firstresult=True)
    def grant(self, request: AccessRequest) -> AccessChange:  # type: ignore[empty-body]
        """Give one account one entitlement. Optional.

        Called for each request, possibly again with the same ``request_id``; calling twice must have the effect of
        calling once. A host that lists at the same time uses another instance; one thread at a time uses an instance.

        Args:
            request: What to grant to whom. With ``preview`` nothing is changed.

        Returns:
            What was done, after it was read back.

        Raises:
            RejectedError: A person must act; the request becomes a manual task.
            TemporaryError: Unknown whether it took effect (or, with ``changed_nothing``, certain that it did not); the
                host asks again.
            ConnectorError: As named by the class.

        Example:
            >>> connector.grant(AccessRequest(request_id="r1", account_id="u1", entitlement_id="g1")).outcome
            'applied'

        Since version 1.
        """

    @hookspec(firstresult=True)
    def revoke(self, request: AccessRequest) -> AccessChange:  # type: ignore[empty-body]
        """Take one entitlement from one account. Optional.

        Called as ``grant`` is.

        Args:
            request: What to take from whom. With ``preview`` nothing is changed.

        Returns:
            What was done, after it was read back, and the other paths by which the account still holds the access.

        Raises:
            RejectedError: A person must act; the request becomes a manual task.
            TemporaryError: Unknown whether it took effect (or, with ``changed_nothing``, certain that it did not); the
                host asks again.
            ConnectorError: As named by the class.

        Example:
            >>> connector.revoke(AccessRequest(request_id="r2", account_id="u1", entitlement_id="g1")).outcome
            'already_in_effect'

        Since version 1.
        """

    @hookspec(firstresult=True)
    def close(self) -> None:
        """Release what the instance holds, such as a connection. Optional.

        Called once by each host that configured the instance, after its last call, whether that succeeded or not. It is
        not called where ``configure`` failed, nor where the process is killed.

        Raises:
            ConnectorError: It is logged, and changes nothing.

        Example:
            >>> connector.close()

        Since version 1, from ploy-connector-aws 0.10 on; earlier hosts do not call it.
        """
