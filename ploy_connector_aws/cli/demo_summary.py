"""Summaries for the demo: paths into AWS accounts, external principals, privileged entitlements, resources."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import RecordKey
from ploy_connector_aws.spec.lists import join_names

from .output import table, text
from .snapshot_view import display_name

_NAMES_SHOWN = 3


@dataclass(frozen=True)
class AccountPath:
    """One path into one AWS account, and the people who can take it."""

    aws_account_id: str
    role: str
    via_entitlements: tuple[str, ...]
    """The names of the entitlements on the path; empty if the role was assigned directly."""
    people: tuple[StoredRecord, ...]

    @property
    def path(self) -> str:
        """The names of the entitlements as text."""
        return " → ".join(self.via_entitlements) or "assigned directly"


def find_account_paths(view: Overlay) -> list[AccountPath]:
    """Find every path into an AWS account, sorted by AWS account, role and path."""
    entitlements = {record.id: record.content for record in view.records("entitlement")}
    people: dict[tuple[str, str, tuple[str, ...]], list[StoredRecord]] = defaultdict(list)
    finder = view.path_finder()
    for identity in list(view.records("account")):  # a path finder allows no other open query
        for path in finder.paths_of(identity.id):
            target_entitlement = entitlements[path.entitlement_ids[-1]]
            if target_entitlement["kind"] == "account_role":
                via_entitlements = tuple(entitlements[id_]["name"] for id_ in path.entitlement_ids[:-1])
                aws_account_id = target_entitlement["resource_id"]
                role = target_entitlement["name"].removesuffix(f" in {aws_account_id}")
                people[aws_account_id, role, via_entitlements].append(identity)
    return [AccountPath(*key, tuple(identities)) for key, identities in sorted(people.items())]


def to_tables(account_paths: Sequence[AccountPath], account_names: Mapping[str, str]) -> Iterator[Table]:
    """Yield one table for each AWS account, all of them with the same columns.

    A column for the AWS account would leave no room for the people on a terminal of 80 columns.
    """
    role_width = max((len(each.role) for each in account_paths), default=0)
    path_width = max((len(each.path) for each in account_paths), default=0)
    by_account: dict[str, list[AccountPath]] = defaultdict(list)
    for account_path in account_paths:
        by_account[account_path.aws_account_id].append(account_path)
    for index, id_ in enumerate(sorted(by_account, key=lambda id_: (account_names.get(id_, ""), id_))):
        shown = table(title=f"{text(account_names.get(id_, 'AWS account'))}  [not bold dim]{text(id_)}[/]")
        shown.show_header, shown.pad_edge = index == 0, True
        shown.add_column("Role", width=role_width, overflow="fold")
        shown.add_column("Via", width=path_width, overflow="fold")
        shown.add_column("People")
        for account_path in by_account[id_]:
            shown.add_row(text(account_path.role), text(account_path.path), _names(account_path.people))
        yield shown


def to_json(account_paths: Sequence[AccountPath], account_names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the access paths as JSON values."""
    return [
        {
            "aws_account_id": account_path.aws_account_id,
            "aws_account_name": account_names.get(account_path.aws_account_id),
            "role": account_path.role,
            "steps": list(account_path.via_entitlements),
            "people": [
                {"id": each.id, "name": display_name(each, each.id), "status": each.content.get("status", "unknown")}
                for each in account_path.people
            ],
        }
        for account_path in account_paths
    ]


def _names(people: Sequence[StoredRecord]) -> str:
    """Return the names of all disabled people, and of some others."""
    disabled = [each for each in people if each.content.get("status") == "disabled"]
    others = sorted(text(display_name(each, each.id)) for each in people if each not in disabled)
    names = [f"[red]{text(display_name(each, each.id))} (disabled)[/]" for each in disabled]
    return join_names([*names, *others], len(names) + _NAMES_SHOWN)


def find_external_trust(view: Overlay) -> list[dict[str, Any]]:
    """Find the roles that external principals can assume, without IAM Identity Center's own path into the account."""
    found = []
    for grant in view.records("grant"):
        content = grant.content
        external_principal = view.record(RecordKey(type=content["principal_kind"], id=content["principal_id"]))
        if external_principal is None or external_principal.content.get("kind") != "external":
            continue
        attributes = content.get("attributes", {})
        if attributes.get("principal_kind") == "saml_provider" and attributes.get("is_own_account"):
            continue  # IAM Identity Center's own path into the account
        role = view.record(RecordKey(type="entitlement", id=content["entitlement_id"]))
        found.append(
            {
                "outsider": content["principal_id"],
                "role": display_name(role, content["entitlement_id"]),
                "issues": [flag.replace("_", " ") for flag in attributes.get("flags", ())],
            }
        )
    return sorted(found, key=lambda row: (not row["issues"], row["outsider"], row["role"]))


def find_privileged(view: Overlay) -> list[dict[str, Any]]:
    """Find the privileged IAM groups, roles and policies, without the IAM Identity Center roles."""
    return [
        {"kind": content["kind"], "name": content["name"], "why": content["privileged_reasons"][0]}
        for record in view.records("entitlement")
        if (content := record.content).get("privileged")
        if content["kind"] != "account_role" and not record.id.startswith("arn:aws:sso:")
        if not content["name"].startswith("AWSReservedSSO_")
    ]


def find_resources(view: Overlay) -> dict[str, list[dict[str, Any]]]:
    """Find the resources by kind, each with its owner if known, without the AWS accounts."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in view.records("resource"):
        content = record.content
        if content["kind"] != "aws_account":
            found[content["kind"]].append({"name": content["name"], "owner": content.get("owner")})
    return dict(sorted(found.items()))


def print_inventory(
    out: Console,
    external_trust: Sequence[Mapping[str, Any]],
    privileged: Sequence[Mapping[str, Any]],
    resources: Mapping[str, Sequence[object]],
) -> None:
    """Print the external trust grants with issues, some privileged entitlements, and the resources counted by kind."""
    flagged = [row for row in external_trust if row["issues"]]
    end = ":" if flagged else "."
    out.print(f"{len(external_trust)} external trust grants; {len(flagged)} through a weak trust policy{end}")
    for row in flagged:
        line = f"  [red]![/] {', '.join(row['issues'])}: {text(row['outsider'])} can assume {text(row['role'])}"
        out.print(line, no_wrap=True, overflow="ellipsis")
    end = ", e.g.:" if privileged else "."
    out.print(f"{len(privileged)} IAM groups, roles and policies are privileged{end}")
    for row in privileged[:_NAMES_SHOWN]:
        line = f"  [red]![/] {row['kind']} {text(row['name'])}: {text(row['why'])}"
        out.print(line, no_wrap=True, overflow="ellipsis")
    counts = [f"{kind.replace('_', ' ')} ({len(rows)})" for kind, rows in resources.items()]
    out.print(f"Resources: {text(', '.join(counts))}.")
