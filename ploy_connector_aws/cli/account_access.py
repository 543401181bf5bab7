"""Who can enter which AWS account, as what and by which path: found in a snapshot, shown as tables or as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.table import Table

from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay

from .listing import display_name
from .output import text

_NAMES_SHOWN = 3


@dataclass(frozen=True)
class Entrance:
    """One way into one AWS account, and the people who may take it."""

    aws_account_id: str
    role: str
    steps: tuple[str, ...]
    """The names of the entitlements on the way; empty where the role was assigned directly."""
    people: tuple[StoredRecord, ...]

    @property
    def way(self) -> str:
        """The steps in words."""
        return " → ".join(self.steps) or "assigned directly"


def find_entrances(picture: Overlay) -> list[Entrance]:
    """Find every entrance, in the order of AWS account, role and way."""
    entitlements = {record.id: record.content for record in picture.records("entitlement")}
    people: dict[tuple[str, str, tuple[str, ...]], list[StoredRecord]] = defaultdict(list)
    finder = picture.path_finder()
    for account in picture.records("account"):
        for path in finder.paths_of(account.id):
            opened = entitlements[path.entitlement_ids[-1]]
            if opened["kind"] == "account_role":
                steps = tuple(entitlements[step]["name"] for step in path.entitlement_ids[:-1])
                role = opened["name"].removesuffix(f" in {opened['resource_id']}")
                people[opened["resource_id"], role, steps].append(account)
    return [Entrance(*way, tuple(holders)) for way, holders in sorted(people.items())]


def to_tables(entrances: Sequence[Entrance], account_names: Mapping[str, str]) -> Iterator[Table]:
    """Make one table for each AWS account, its name above it, all of them with the same columns.

    A column for the AWS account would leave no room for the people on a terminal of 80 columns.
    """
    role_width = max((len(each.role) for each in entrances), default=0)
    way_width = max((len(each.way) for each in entrances), default=0)
    by_account: dict[str, list[Entrance]] = defaultdict(list)
    for entrance in entrances:
        by_account[entrance.aws_account_id].append(entrance)
    for place, id_ in enumerate(sorted(by_account, key=lambda id_: (account_names.get(id_, ""), id_))):
        title = f"[bold]{text(account_names.get(id_, 'AWS account'))}[/]  [dim]{text(id_)}[/]"
        made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="", show_header=place == 0)
        made.add_column("as", width=role_width, overflow="fold")
        made.add_column("by way of", width=way_width, overflow="fold")
        made.add_column("people")
        for entrance in by_account[id_]:
            made.add_row(text(entrance.role), text(entrance.way), _names(entrance.people))
        yield made


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
    disabled = [each for each in holders if each.content.get("status") == "disabled"]
    others = [each for each in holders if each not in disabled]
    names = [f"[red]{text(display_name(each, each.id))} (disabled)[/]" for each in disabled]
    names += sorted(text(display_name(each, each.id)) for each in others)[:_NAMES_SHOWN]
    rest = len(others) - _NAMES_SHOWN
    return ", ".join(names) + (f" and {rest} more" if rest > 0 else "")
