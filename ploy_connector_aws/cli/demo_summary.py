"""What the demo shows of IAM and of the resources: who gets in from outside, what is privileged, what there is."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from rich.table import Table

from ploy_connector_aws.runtime.snapshot.verified_changes import Overlay
from ploy_connector_aws.spec import RecordKey

from .listing import display_name
from .output import join_names, table, text

_NAMES_SHOWN = 4


def find_outsiders(picture: Overlay) -> list[dict[str, Any]]:
    """Who outside of the AWS account, and outside of IAM Identity Center, may become which role."""
    found = []
    for grant in picture.records("grant"):
        content = grant.content
        holder = picture.record(RecordKey(type=content["principal_kind"], id=content["principal_id"]))
        if holder is None or holder.content.get("kind") != "external":
            continue
        attributes = content.get("attributes", {})
        if attributes.get("principal_kind") == "saml_provider" and attributes.get("is_own_account"):
            continue  # IAM Identity Center's own way in: the chapter before shows it
        role = picture.record(RecordKey(type="entitlement", id=content["entitlement_id"]))
        found.append(
            {
                "outsider": content["principal_id"],
                "role": display_name(role, content["entitlement_id"]),
                "amiss": [flag.replace("_", " ") for flag in attributes.get("flags", ())],
            }
        )
    return sorted(found, key=lambda row: (not row["amiss"], row["outsider"], row["role"]))


def find_privileged(picture: Overlay) -> list[dict[str, Any]]:
    """What of IAM is privileged, with the first reason. What IAM Identity Center gives is left out."""
    return [
        {"kind": content["kind"], "name": content["name"], "why": content["privileged_reasons"][0]}
        for record in picture.records("entitlement")
        if (content := record.content).get("privileged")
        if content["kind"] != "account_role" and not record.id.startswith("arn:aws:sso:")
        if not content["name"].startswith("AWSReservedSSO_")
    ]


def find_resources(picture: Overlay) -> dict[str, list[dict[str, Any]]]:
    """The resources by kind, each with its owner where one is known. The AWS accounts themselves are left out."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in picture.records("resource"):
        content = record.content
        if content["kind"] != "aws_account":
            found[content["kind"]].append({"name": content["name"], "owner": content.get("owner")})
    return dict(sorted(found.items()))


def to_tables(picture: Overlay) -> list[Table]:
    """All three as tables."""
    outsiders = table("From outside", "may become", "amiss", title="Who from outside can become which role")
    for row in find_outsiders(picture):
        amiss = f"[red]{text(', '.join(row['amiss']))}[/]" if row["amiss"] else "-"
        outsiders.add_row(text(row["outsider"]), text(row["role"]), amiss)
    privileged = table("Kind", "Name", "Why", title="Privileged in IAM")
    for row in find_privileged(picture):
        privileged.add_row(row["kind"], text(row["name"]), text(row["why"]))
    resources = table("Kind", "", "Such as", title="Resources")
    for kind, rows in find_resources(picture).items():
        names = [f"{row['name']} ({row['owner']})" if row["owner"] else row["name"] for row in rows]
        resources.add_row(text(kind.replace("_", " ")), str(len(rows)), text(join_names(names, _NAMES_SHOWN)))
    return [outsiders, privileged, resources]
