"""Reads the names of the AWS accounts of an organization, which one optional permission allows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set

from ploy_connector_aws.spec import Page, TemporaryError

from .client.calls import isolate_failure, read_pages
from .client.session import ReadSession
from .records import take, to_aws_account

ACCOUNT_NAMES = "aws-accounts"
"""The scope of the list. It has every account of the organization, and alone the content of each in full."""

ORGANIZATIONS_REGION = "us-east-1"
"""AWS Organizations has one endpoint for all Regions; its calls are signed for this one (botocore's endpoint rules)."""

_AWS_ACCOUNT = re.compile(r"\d{12}", re.ASCII)


def read_account_names(session: ReadSession, skip: Set[str]) -> Iterator[Page]:
    """Read the list, if the settings ask for it. AWS answers in few accounts only, so a denial fails this scope alone.

    Args:
        session: The role's session; it may not be open yet.
        skip: Scopes that the resumed run has read completely.

    Raises:
        AuthenticationError: The role cannot be assumed, or no longer.
    """
    is_included = session.config.read_account_names
    yield Page(scope=ACCOUNT_NAMES, excluded=not is_included)
    if is_included and ACCOUNT_NAMES not in skip:
        yield from isolate_failure(ACCOUNT_NAMES, _read(session))


def _read(session: ReadSession) -> Iterator[Page]:
    session.open()
    client = session.client("organizations", ORGANIZATIONS_REGION)
    for rows in read_pages(client, "ListAccounts", "Accounts"):
        # An account without a name is not known in full; AWS documents every member of a row as optional.
        ids = [(take(row, "Id", "an AWS account"), row.get("Name") or None) for row in rows]
        if not all(_AWS_ACCOUNT.fullmatch(account_id) for account_id, _ in ids):
            raise TemporaryError("AWS listed an AWS account whose Id is not that of an AWS account.")
        yield Page(
            scope=ACCOUNT_NAMES,
            records=tuple(to_aws_account(account_id, session.config, name) for account_id, name in ids if name),
            partial=tuple(to_aws_account(account_id, session.config) for account_id, name in ids if not name),
        )
    yield Page(scope=ACCOUNT_NAMES, complete=True)
