"""Summaries for the demo: paths into AWS accounts, principals from outside, privileged entitlements, resources."""

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
class Entrance:
    """One path into one AWS account, and the people who can take it."""

    aws_account_id: str
    role: str
    steps: tuple[str, ...]
    """The names of the entitlements on the path; empty where the role was assigned directly."""
    people: tuple[StoredRecord, ...]

    @property
    def path(self) -> str:
        """The steps as text."""
        return " → ".join(self.steps) or "assigned directly"


def find_entrances(view: Overlay) -> list[Entrance]:
    """Find every entrance, in the order of AWS account, role and path."""
    entitlements = {record.id: record.content for record in view.records("entitlement")}
    people: dict[tuple[str, str, tuple[str, ...]], list[StoredRecord]] = defaultdict(list)
    finder = view.path_finder()
    for account in view.records("account"):
        for path in finder.paths_of(account.id):
            opened = entitlements[path.entitlement_ids[-1]]
            if opened["kind"] == "account_role":
                steps = tuple(entitlements[step]["name"] for step in path.entitlement_ids[:-1])
                role = opened["name"].removesuffix(f" in {opened['resource_id']}")
                people[opened["resource_id"], role, steps].append(account)
    return [Entrance(*key, tuple(holders)) for key, holders in sorted(people.items())]


def to_tables(entrances: Sequence[Entrance], account_names: Mapping[str, str]) -> Iterator[Table]:
    """Yield one table for each AWS account, all of them with the same columns.

    A column for the AWS account would leave no room for the people on a terminal of 80 columns.
    """
    role_width = max((len(each.role) for each in entrances), default=0)
    path_width = max((len(each.path) for each in entrances), default=0)
    by_account: dict[str, list[Entrance]] = defaultdict(list)
    for entrance in entrances:
        by_account[entrance.aws_account_id].append(entrance)
    for place, id_ in enumerate(sorted(by_account, key=lambda id_: (account_names.get(id_, ""), id_))):
        shown = table(title=f"{text(account_names.get(id_, 'AWS account'))}  [not bold dim]{text(id_)}[/]")
        shown.show_header, shown.pad_edge = place == 0, True
        shown.add_column("as", width=role_width, overflow="fold")
        shown.add_column("by", width=path_width, overflow="fold")
        shown.add_column("people")
        for entrance in by_account[id_]:
            shown.add_row(text(entrance.role), text(entrance.path), _names(entrance.people))
        yield shown


def to_json(entrances: Sequence[Entrance], account_names: Mapping[str, str]) -> list[dict[str, Any]]:
    """The entrances as JSON values."""
    return [
        {
            "aws_account_id": entrance.aws_account_id,
            "aws_account_name": account_names.get(entrance.aws_account_id),
            "role": entrance.role,
            "steps": list(entrance.steps),
            "people": [
                {"id": each.id, "name": display_name(each, each.id), "status": each.content.get("status", "unknown")}
                for each in entrance.people
            ],
        }
        for entrance in entrances
    ]


def _names(holders: Sequence[StoredRecord]) -> str:
    """All disabled people, and some of the others."""
    disabled = [each for each in holders if each.content.get("status") == "disabled"]
    others = sorted(text(display_name(each, each.id)) for each in holders if each not in disabled)
    names = [f"[red]{text(display_name(each, each.id))} (disabled)[/]" for each in disabled]
    return join_names([*names, *others], len(names) + _NAMES_SHOWN)


def find_outsiders(view: Overlay) -> list[dict[str, Any]]:
    """Find who outside of the AWS account, and outside of IAM Identity Center, can assume which role."""
    found = []
    for grant in view.records("grant"):
        content = grant.content
        holder = view.record(RecordKey(type=content["principal_kind"], id=content["principal_id"]))
        if holder is None or holder.content.get("kind") != "external":
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
    """Find the privileged groups, roles and policies of IAM, without the roles of IAM Identity Center."""
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
    outsiders: Sequence[Mapping[str, Any]],
    privileged: Sequence[Mapping[str, Any]],
    resources: Mapping[str, Sequence[object]],
) -> None:
    """Print the outsiders with issues, some privileged entitlements, and the number of resources by kind."""
    flagged = [row for row in outsiders if row["issues"]]
    out.print(
        f"{len(outsiders)} principals from outside can assume a role; {len(flagged)} of them by a weak trust policy:"
    )
    for row in flagged:
        line = f"  [red]![/] {', '.join(row['issues'])}: {text(row['outsider'])} can assume {text(row['role'])}"
        out.print(line, no_wrap=True, overflow="ellipsis")
    out.print(f"{len(privileged)} groups, roles and policies of IAM are privileged, e.g.:")
    for row in privileged[:_NAMES_SHOWN]:
        line = f"  [red]![/] {row['kind']} {text(row['name'])}: {text(row['why'])}"
        out.print(line, no_wrap=True, overflow="ellipsis")
    counts = [f"{kind.replace('_', ' ')} ({len(rows)})" for kind, rows in resources.items()]
    out.print(f"Resources: {text(', '.join(counts))}.")
