"""Reads each service as a scope of its own, so that each fails alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set

from ploy_connector_aws.aws.client.calls import isolate_failure, read
from ploy_connector_aws.aws.client.errors import RegionNotEnabledError
from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.records import to_aws_account
from ploy_connector_aws.config import RESOURCE_SCOPES
from ploy_connector_aws.spec import AuthenticationError, Failure, Page, PermissionDeniedError, RejectedError

from .ec2 import read_instances as read_servers
from .ecs import read_clusters
from .lists import read_buckets, read_functions, read_queues, read_tables
from .rds import read_instances as read_databases
from .read_context import Found, Inventory, Roles

READERS: Mapping[str, Callable[[Inventory], Iterator[Found]]] = {
    "s3/buckets": read_buckets,
    "dynamodb/tables": read_tables,
    "sqs/queues": read_queues,
    "lambda/functions": read_functions,
    "rds/instances": read_databases,
    "ec2/instances": read_servers,
    "ecs/clusters": read_clusters,
}
"""By scope."""

ALWAYS_ENABLED = "us-east-1"
"""A Region that no account can disable (AWS Account Management guide, "Enable or disable AWS Regions")."""


class InventoryReader:
    """One sync's read of the resources.

    Args:
        session: The role's session; it may not be open yet.
        roles: What is known about IAM's roles when resources are read.
    """

    def __init__(self, session: ReadSession, roles: Roles) -> None:
        self._session = session
        self._inventory = Inventory(session, roles)
        self._works_elsewhere: bool | None = None

    def read_resources(self, skip: Set[str]) -> Iterator[Page]:
        """Read the services in sequence; each takes a few calls only.

        Args:
            skip: Scopes that the resumed run has read completely.

        Raises:
            AuthenticationError: The role cannot be assumed, or no longer.
        """
        wanted = []
        for scope in RESOURCE_SCOPES:
            is_included = self._session.config.includes(scope)
            yield Page(scope=scope, excluded=not is_included)
            if is_included and scope not in skip:
                wanted.append(scope)
        if not wanted:
            return
        try:
            self._session.open()
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - no error proves anything about the resources
            for scope in wanted:
                yield Page(scope=scope, failure=Failure.from_error(error))
            return
        for scope in wanted:
            yield from isolate_failure(scope, self._read(scope))

    def _read(self, scope: str) -> Iterator[Page]:
        config = self._session.config
        account = to_aws_account(self._inventory.account_id, config)
        try:
            for found in READERS[scope](self._inventory):
                if found.records or found.partial:
                    full = tuple(each for each in found.records if not self._inventory.is_partial(each))
                    partial = tuple(each for each in found.records if self._inventory.is_partial(each))
                    if config.read_account_names:
                        partial = (account, *partial)
                    else:
                        full = (account, *full)
                    yield Page(scope=scope, records=full, partial=(*partial, *found.partial))
        except RegionNotEnabledError as error:
            if not self._credentials_work_elsewhere():
                raise
            raise RejectedError(
                f"The Region {self._inventory.region} is not enabled for the AWS account; its resources were not read.",
                reason="region_not_enabled",
                fix="Enable the Region for the account, name an enabled one in the settings, or remove unused scopes.",
                request_id=error.request_id,
            ) from None
        yield Page(scope=scope, complete=True)

    def _credentials_work_elsewhere(self) -> bool:
        """Distinguish a disabled Region from invalid credentials: AWS returns the same error for both.

        Raises:
            ConnectorError: The call that distinguishes them failed.
        """
        if self._works_elsewhere is None:
            self._works_elsewhere = self._inventory.region != ALWAYS_ENABLED and self._is_known_in(ALWAYS_ENABLED)
        return self._works_elsewhere

    def _is_known_in(self, region: str) -> bool:
        client = self._session.make_client("s3", region)
        try:
            read(client, "ListBuckets", MaxBuckets=1)
        except AuthenticationError:
            return False
        except PermissionDeniedError:
            # AWS denies only credentials that it knows.
            return True
        finally:
            client.close()
        return True
