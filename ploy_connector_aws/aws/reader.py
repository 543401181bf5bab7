"""One sync of one integration: its parts, in order, in one session of the assumed role."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager

from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import AuthenticationError, ConnectorContext, Page

from .account_names import read_account_names
from .client.session import ReadSession
from .iam.reader import IamReader
from .identity_center.reader import IdentityCenterReader
from .inventory.reader import InventoryReader


class AwsReader:
    """Implements the list hooks; their iterators share the session and the spools.

    Args:
        config: The integration's settings.
        precheck: Called before every use of the role; raises if it must not be used.
        context: The organisation it works for, and counters of its calls.
    """

    def __init__(
        self, config: AwsConfig, precheck: Callable[[], None], context: ConnectorContext | None = None
    ) -> None:
        self._session = ReadSession(config, context=context, precheck=precheck)
        self._iam = IamReader(self._session)
        self._identity_center = IdentityCenterReader(self._session, self._iam.managed_policies)
        self._inventory = InventoryReader(self._session, self._iam)
        self._has_begun = False
        self._authentication_error: AuthenticationError | None = None

    def read_accounts(self, skip: Set[str]) -> Iterator[Page]:
        """Read the people of Identity Center, then IAM, whose lists mix accounts and entitlements.

        Args:
            skip: Scopes that the resumed run has read completely.

        Raises:
            AuthenticationError: The role cannot be assumed, or no longer.
        """
        self._has_begun = True
        with self._failing_once():
            yield from self._identity_center.read_accounts(skip)
            yield from self._iam.read(self._management_account)

    def read_entitlements(self, skip: Set[str]) -> Iterator[Page]:
        """Read entitlements and grants; first the accounts, if that was not done yet.

        Raises:
            AuthenticationError: The role cannot be assumed, or no longer.
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
        """Read the names of AWS accounts and the resources of this one, and close the session.

        Raises:
            AuthenticationError: The role cannot be assumed, or no longer.
        """
        try:
            with self._failing_once():
                yield from read_account_names(self._session, skip)
                yield from self._inventory.read_resources(skip)
        finally:
            self.close()

    @property
    def _management_account(self) -> str | None:
        """The organization's management account: only it can own an instance that another account sees."""
        instance = self._identity_center.instance
        owner = instance.owner_account_id if instance else None
        return None if owner == self._session.config.account_id else owner

    @contextmanager
    def _failing_once(self) -> Iterator[None]:
        """Do not try credentials in an iterator after they failed in an earlier one."""
        if self._authentication_error is not None:
            raise self._authentication_error
        try:
            yield
        except AuthenticationError as error:
            self._authentication_error = error
            self.close()
            raise

    def close(self) -> None:
        """Stop calling AWS, and discard the spools."""
        self._session.close()
        self._identity_center.close()
        self._iam.close()
