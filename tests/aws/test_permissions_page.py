"""The page about permissions says what the list of actions says; ``tests/test_docs.py`` compares it with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ploy_connector_aws.aws.permissions import (
    ACCOUNT_NAMES,
    ACTIONS,
    BY_PERMISSION_SET,
    DIRECT_ASSIGNMENTS,
    EXPLANATIONS,
    KMS_DECRYPT,
)
from ploy_connector_aws.aws.permissions import OPTIONAL as OPTIONAL_ACTIONS
from tests.aws.conftest import SEED_POLICY

OPTIONAL = [KMS_DECRYPT, *(action.iam for action in OPTIONAL_ACTIONS)]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "permissions.md"


def test_every_action_of_the_policy_has_a_row_in_its_order() -> None:
    of_the_policy = [action for statement in SEED_POLICY["Statement"] for action in statement["Action"]]

    assert re.findall(r"^\| `([\w:]+)` \|", PAGE.read_text(), re.M) == [*of_the_policy, *OPTIONAL]


def test_every_action_and_no_other_is_explained_in_whole_sentences() -> None:
    assert set(EXPLANATIONS) == {*(action.iam for action in ACTIONS), *OPTIONAL}
    texts = [text for each in EXPLANATIONS.values() for text in (each.used_for, each.impact_if_missing)]
    assert [text for text in texts if not text.endswith(".") or "|" in text] == []


def test_the_optional_statements_can_be_pasted() -> None:
    statements = [json.loads(code) for code in re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.S)]

    assert [statement["Action"] for statement in statements] == [
        KMS_DECRYPT,
        [action.iam for action in BY_PERMISSION_SET],
        [action.iam for action in DIRECT_ASSIGNMENTS],
        [action.iam for action in ACCOUNT_NAMES],
    ]
