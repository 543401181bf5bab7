"""The connector's copy of the policies that AWS itself ships, for those whose documents a run did not read.

The file beside this module is generated: ``python -m tests.aws.iam.copy_aws_policies`` takes the documents from the
pinned moto and keeps of each the statements that name an action of the table of escalations. One line is one policy:
its path and name, the codes of the reasons why it is privileged (for the reader alone), and those statements.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

_FILE = "aws_policies.jsonl"
_PREFIX = "arn:aws:iam::aws:policy"

COPIES_DATE = "2026-09-30"
"""The date of the newest document in the file; a test keeps it so."""


def find_copy(arn: str) -> dict[str, Any] | None:
    """Find the document of one of AWS's own policies, as far as it bears on privilege.

    Args:
        arn: The policy's ARN; only the partition `aws` has copies.

    Returns:
        The policy document, or None where the file does not have the policy.
    """
    statements = _copies().get(arn.removeprefix(_PREFIX)) if arn.startswith(_PREFIX) else None
    return None if statements is None else {"Version": "2012-10-17", "Statement": statements}


@lru_cache(maxsize=1)
def _copies() -> dict[str, list[dict[str, Any]]]:
    text = files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    return {name: statements for name, _, statements in map(json.loads, text.splitlines())}
