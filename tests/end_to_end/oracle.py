"""The truth in AWS, read from moto's own state, and the same facts read from records; neither uses our readers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from moto.backends import get_backend

from ploy_connector_aws.graph.values import StoredRecord

Entry = tuple[str, str, str]
"""User id, AWS account id, permission set ARN: this person can enter that account with that set."""


@dataclass(frozen=True)
class Facts:
    """Who there is, and who can enter what."""

    users: frozenset[tuple[object, ...]]
    groups: frozenset[tuple[object, ...]]
    memberships: frozenset[tuple[str, str]]
    permission_sets: frozenset[tuple[object, ...]]
    assignments: frozenset[tuple[str, str, str, str]]
    entries: frozenset[Entry]


def facts_in_aws(account_id: str, region: str, identity_store_id: str) -> Facts:
    """The truth."""
    store = get_backend("identitystore")[account_id][region].identity_stores[identity_store_id]
    admin = get_backend("sso-admin")[account_id][region]
    memberships = frozenset((row["MemberId"]["UserId"], row["GroupId"]) for row in store.group_memberships.values())
    # An assignment that its deleted user or group left behind opens nothing, and no list of AWS shows it.
    assignments = frozenset(
        (row.principal_type, row.principal_id, row.target_id, row.permission_set_arn)
        for row in admin.account_assignments
        if row.principal_id in store.users or row.principal_id in store.groups
    )
    return Facts(
        users=frozenset(
            (each.UserId, each.UserName, each.DisplayName, each.Title, *(email["Value"] for email in each.Emails or ()))
            for each in store.users.values()
        ),
        groups=frozenset((each.GroupId, each.DisplayName, each.Description or None) for each in store.groups.values()),
        memberships=memberships,
        permission_sets=frozenset(
            (
                each.permission_set_arn,
                each.name,
                each.description or None,
                each.session_duration,
                frozenset(policy.arn for policy in each.managed_policies),
                frozenset((policy.path, policy.name) for policy in each.customer_managed_policies),
            )
            for each in admin.permission_sets
        ),
        assignments=assignments,
        entries=frozenset(_entries(memberships, assignments)),
    )


def facts_in(records: Iterable[StoredRecord]) -> Facts:
    """The facts about Identity Center in records; those about IAM have an oracle of their own."""
    content = {(record.type, record.id): record.content for record in records if not is_of_iam(record.content)}
    entitlements = {id: each for (type, id), each in content.items() if type == "entitlement"}
    grants = [each for (type, _), each in content.items() if type == "grant"]
    memberships = frozenset(
        (grant["principal_id"], grant["entitlement_id"])
        for grant in grants
        if entitlements.get(grant["entitlement_id"], {}).get("kind") == "group"
    )
    assignments = frozenset(
        (
            "USER" if grant["principal_kind"] == "account" else "GROUP",
            grant["principal_id"],
            role["attributes"]["aws_account_id"],
            role["attributes"]["permission_set_arn"],
        )
        for grant in grants
        if (role := entitlements.get(grant["entitlement_id"], {})).get("kind") == "account_role"
    )
    for _, _, account_id, _ in assignments:
        assert ("resource", account_id) in content, "an account role opens an account that is not in the picture"
    return Facts(
        users=frozenset(
            (
                id,
                each.get("username"),
                each.get("display_name"),
                each.get("attributes", {}).get("title"),
                *(email["address"] for email in each.get("emails", ())),
            )
            for (type, id), each in content.items()
            if type == "account"
        ),
        groups=frozenset(
            (id, each["name"], each.get("description")) for id, each in entitlements.items() if each["kind"] == "group"
        ),
        memberships=memberships,
        permission_sets=frozenset(
            (
                id,
                each["name"],
                each.get("description"),
                each.get("attributes", {}).get("session_duration"),
                frozenset(each.get("attributes", {}).get("aws_managed_policies", ())),
                frozenset(
                    (policy["path"], policy["name"])
                    for policy in each.get("attributes", {}).get("customer_managed_policies", ())
                ),
            )
            for id, each in entitlements.items()
            if each["kind"] == "role"
        ),
        assignments=assignments,
        entries=frozenset(_entries(memberships, assignments)),
    )


def is_of_iam(content: Mapping[str, Any]) -> bool:
    """Whether a record belongs to IAM; grants and resources are not distinguished."""
    attributes = content.get("attributes", {})
    return (
        content.get("source") == "iam"
        or "inline_of" in attributes
        or attributes.get("arn", "").startswith("arn:aws:iam:")
    )


def _entries(
    memberships: frozenset[tuple[str, str]], assignments: frozenset[tuple[str, str, str, str]]
) -> Iterator[Entry]:
    for kind, principal_id, account_id, permission_set in assignments:
        if kind == "USER":
            yield principal_id, account_id, permission_set
        else:
            for user_id, group_id in memberships:
                if group_id == principal_id:
                    yield user_id, account_id, permission_set
