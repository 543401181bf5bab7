"""AWS Organizations: the list of an organization's accounts with their names, and who may read it.

moto makes a role in each account of an organization, lets only the management account list, and pages differently
(AWS.md 11), so its state is not used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .access_denied import AwsError, ErrorKind, common_error
from .paging import Pager


@dataclass
class Organization:
    """One organization: its accounts' names by id, and the ids of those that are delegated administrators."""

    management_account_id: str
    names: dict[str, str]
    delegated_administrators: frozenset[str]
    id: str = field(init=False)

    def __post_init__(self) -> None:
        """Derive the id."""
        self.id = f"o-{self.management_account_id}"


class Organizations:
    """The organizations of this local AWS, by management account."""

    def __init__(self) -> None:
        self._known: dict[str, Organization] = {}

    def set(self, management_account_id: str, names: dict[str, str], delegated_administrators: Iterable[str]) -> None:
        """Creates an organization, or replaces it."""
        self._known[management_account_id] = Organization(
            management_account_id, dict(names), frozenset(delegated_administrators)
        )

    def rename(self, management_account_id: str, account_id: str, name: str) -> None:
        """Gives an account of an organization another name."""
        self._known[management_account_id].names[account_id] = name

    def remove(self, management_account_id: str) -> None:
        """Deletes an organization; a missing one is fine."""
        self._known.pop(management_account_id, None)

    def list_accounts(self, account_id: str, pager: Pager) -> dict[str, Any]:
        """A page of the accounts, as AWS answers a caller in this account.

        Raises:
            AwsError: the account is in no organization, or neither manages one nor is a delegated administrator.
        """
        found = self._known.get(account_id) or next(
            (each for each in self._known.values() if account_id in each.delegated_administrators), None
        )
        if found is not None:
            return pager.page("Accounts", found.names.items(), lambda row: row[0], lambda row: _to_item(found, *row))
        if any(account_id in each.names for each in self._known.values()):
            raise common_error(ErrorKind.ACCESS_DENIED, "json", "You don't have permissions to access this resource.")
        raise AwsError("AWSOrganizationsNotInUseException", "Your account is not a member of an organization.")


def _to_item(organization: Organization, account_id: str, name: str) -> dict[str, Any]:
    management = organization.management_account_id
    return {
        "Id": account_id,
        "Arn": f"arn:aws:organizations::{management}:account/{organization.id}/{account_id}",
        "Email": f"aws+{account_id}@example.com",
        "Name": name,
        "Status": "ACTIVE",
        "State": "ACTIVE",
        "JoinedMethod": "CREATED",
        "JoinedTimestamp": 1736499600.0,
    }
