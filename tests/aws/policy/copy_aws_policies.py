"""Generator of the connector's copy of AWS's own policies: ``python -m tests.aws.policy.copy_aws_policies``.

Run it after each update of moto and after each change of the table of escalations, and set ``COPIES_DATE`` to the date
that it prints. A test compares the file with what this makes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data

import ploy_connector_aws.aws.policy
from ploy_connector_aws.aws.policy.effective_permissions import names_listed_actions, to_permissions
from ploy_connector_aws.aws.policy.privileges import judge

FILE = Path(ploy_connector_aws.aws.policy.__file__).with_name("aws_policies.jsonl")


def policies() -> Iterator[tuple[str, dict[str, Any]]]:
    """The policies that moto has, by path and name, in order."""
    yield from sorted((each["Path"] + name, each) for name, each in json.loads(aws_managed_policies_data).items())


def copy_date() -> str:
    """The day of the newest document."""
    return max(str(policy["UpdateDate"]) for _, policy in policies())[:10]


def copied(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements that name an action of the table, each with no other actions."""
    statements = document["Statement"]
    kept = []
    for statement in statements if isinstance(statements, list) else [statements]:
        fewer = {name: value for name, value in statement.items() if name not in ("Sid", "Action")}
        if "Action" in statement:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            fewer["Action"] = sorted({action for action in actions if names_listed_actions(action)})
            if not fewer["Action"]:
                continue
        kept.append(dict(sorted(fewer.items())))
    return kept


def lines() -> Iterator[str]:
    """The file's lines: each policy's path and name, the codes of the reasons why it is privileged, its statements."""
    for name, policy in policies():
        document = policy["Document"]
        assert document["Version"] == "2012-10-17", name
        codes = [reason.code for reason in judge([to_permissions(document, is_aws_managed=True)]).reasons]
        yield json.dumps([name, codes, copied(document)], separators=(",", ":"))


if __name__ == "__main__":
    FILE.write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")
    print(copy_date())  # noqa: T201 - this is a command
