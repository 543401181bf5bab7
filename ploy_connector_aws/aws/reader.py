"""One sync's reading of one integration: its parts, in order, in one session of the assumed role."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager

from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import AuthenticationError, ConnectorContext, Page

from .client.session import ReadSession
from .iam.reader import IamReader
from .identity_center.reader import IdentityCenterReader
from .inventory.reader import InventoryReader


class AwsReader:
    """What the list hooks hand over to: the iterators share the session and what was seen.

    Args:
        config: The integration's settings.
        admit: Called before whatever is read in the role; raises where it must not be used.
        context: The organisation it works for, and counters of its calls.
    """

    def __init__(self, config: AwsConfig, admit: Callable[[], None], context: ConnectorContext | None = None) -> None:
        self._session = ReadSession(config, context=context, admit=admit)
        self._iam = IamReader(self._session)
        self._identity_center = IdentityCenterReader(self._session, self._iam.managed_policies)
        self._inventory = InventoryReader(self._session, self._iam)
        self._has_begun = False
        self._authentication_error: AuthenticationError | None = None

    def read_accounts(self, skip: Set[str]) -> Iterator[Page]:
        """Read the people of Identity Center, then IAM, whose lists mix accounts with all that they hold.

        Args:
            skip: Scopes that an interrupted run read completely.

        Raises:
            AuthenticationError: The role could not be assumed, or no longer.
        """
        self._has_begun = True
        with self._failing_once():
            yield from self._identity_center.read_accounts(skip)
            yield from self._iam.read(self._management_account)

    def read_entitlements(self, skip: Set[str]) -> Iterator[Page]:
        """Read what can be held, and who holds it; first the accounts, if nobody asked for them yet.

        Raises:
            AuthenticationError: The role could not be assumed, or no longer.
        """
        try:
            if not self._has_begun:
                yield from self.read_accounts(skip)
            with self._failing_once():
                yield from self._identity_center.read_entitlements(skip)
                yield from self._iam.read_permission_set_roles(
                    self._identity_center.account_roles, self._identity_center.instance
                )
        except GeneratorExit:
            self._session.close()
            raise
        finally:
            self._identity_center.close()

    def read_resources(self, skip: Set[str]) -> Iterator[Page]:
        """Read the things in the AWS account, and leave it.

        Raises:
            AuthenticationError: The role could not be assumed, or no longer.
        """
        try:
            with self._failing_once():
                yield from self._inventory.read_resources(skip)
        finally:
            self.close()

    @property
    def _management_account(self) -> str | None:
        """The organization's management account, which alone can own an instance that another account sees."""
        instance = self._identity_center.instance
        owner = instance.owner_account_id if instance else None
        return None if owner == self._session.config.account_id else owner

    @contextmanager
    def _failing_once(self) -> Iterator[None]:
        """Let credentials that failed in one iterator not be tried in the next."""
        if self._authentication_error is not None:
            raise self._authentication_error
        try:
            yield
        except AuthenticationError as error:
            self._authentication_error = error
            self.close()
            raise

    def close(self) -> None:
        """Stop calling AWS and forget what was seen."""
        self._session.close()
        self._identity_center.close()
        self._iam.close()
