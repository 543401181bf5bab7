"""Reads one account's IAM as a tree of scopes: what is announced when, and what is read from what."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.aws.identity_center.permission_sets import PERMISSION_SETS
from ploy_connector_aws.aws.policy.effective_permissions import ManagedPolicies
from ploy_connector_aws.aws.spool import Spool
from ploy_connector_aws.config import IAM
from ploy_connector_aws.spec import AuthenticationError, Failure, Page, PermissionDeniedError

from .fallback_lists import read_names
from .identities import read_holders
from .managed_policies import read_policies
from .permission_set_roles import PERMISSION_SET_ROLES, CenterInstance, NamedRole, read_permission_set_roles
from .read_context import GROUPS, POLICIES, ROLES, TRUST, USERS, Knowledge, Reading

_READ_AT_ONCE = (POLICIES, USERS, GROUPS, ROLES, TRUST)


class IamReader:
    """One sync's reading.

    Args:
        session: The assumed role, not necessarily entered yet.
    """

    def __init__(self, session: ReadSession) -> None:
        self._session = session
        self._config = session.config
        self._findings = Spool(session.context.scratch_dir)
        self._reading: Reading | None = None
        self.powers = ManagedPolicies(is_to_be_read=self._config.includes(IAM))
        """What the managed policies allow, as far as they were read."""

    def read(self, management_account: str | None = None) -> Iterator[Page]:
        """Read everything but the links to permission sets. These few calls are made again also after an interruption:
        who may assume a role, and what a permission set allows, follow from all of the answers together.

        Args:
            management_account: The organization's management account, where it is known.

        Raises:
            AuthenticationError: The role could not be assumed, or no longer.
        """
        if not self._config.includes(IAM):
            yield Page(scope=IAM, excluded=True)
            return
        yield Page(scope=IAM)
        try:
            self._session.open()
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the host must not take it for an empty account
            yield Page(scope=IAM, failure=Failure.from_error(error))
            return
        for scope in _READ_AT_ONCE:
            yield Page(scope=scope, parent=IAM)
        yield Page(scope=PERMISSION_SET_ROLES, parent=IAM, excluded=not self._config.includes(PERMISSION_SETS))
        yield Page(scope=IAM, complete=True)
        reading = Reading(self._session, self._config.account_id, self._findings, self.powers, management_account)
        self._reading = reading
        try:
            yield from read_policies(reading)
        except AuthenticationError:
            raise
        except PermissionDeniedError as denied:
            yield from read_names(reading, denied)
        except Exception as error:  # noqa: BLE001 - without the policies nothing that holds them can be told
            reading.fail(error, *_READ_AT_ONCE)
            yield from (reading.end(scope) for scope in _READ_AT_ONCE)
        else:
            yield from read_holders(reading)

    def read_permission_set_roles(
        self, account_roles: Callable[[str], Iterable[NamedRole]], instance: Instance | None
    ) -> Iterator[Page]:
        """Read which roles of this account were made for which permission sets, once both are known.

        Args:
            account_roles: Gives what each permission set is in an AWS account, or raises what kept them from being
                read.
            instance: The instance that the permission sets are of; None where none was found.

        Raises:
            AuthenticationError: Nothing could be read.
        """
        reading = self._reading
        if reading is None or not self._config.includes(PERMISSION_SETS):
            return
        failure = reading.failure_of(ROLES)
        if failure is not None:
            yield Page(scope=PERMISSION_SET_ROLES, failure=failure)
            return
        try:
            # The roles are of IAM, their permission sets are not: those of another instance would replace all links.
            yield Page(scope=PERMISSION_SET_ROLES, origin=instance.arn if instance else None)
            center = (
                CenterInstance(instance.primary_region or None, instance.created_at) if instance else CenterInstance()
            )
            yield from read_permission_set_roles(reading, lambda: account_roles(reading.account_id), center)
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it proves nothing about the other scopes
            reading.fail(error, PERMISSION_SET_ROLES)
        yield reading.end(PERMISSION_SET_ROLES)

    def find_roles(self, named_by: Literal["role", "instance_profile"], arns: Iterable[str]) -> Mapping[str, str]:
        """Look up the ids of roles, after they were read.

        Args:
            named_by: Whether the ARNs are those of the roles or of their instance profiles.
            arns: The ARNs; those that were not found are not in the answer.
        """
        return self._findings.find_values(named_by, arns)

    @property
    def knowledge_of_roles(self) -> Knowledge:
        """What it means that a role was not found."""
        if not self._config.includes(IAM):
            return "none"
        return "part" if self._reading is None or self._reading.failure_of(ROLES) else "all"

    def close(self) -> None:
        """Forget what was found."""
        self._findings.close()
