"""The page about permissions says what the list of actions says, and is up to date."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from ploy_connector_aws.aws.permissions import ACTIONS, BY_PERMISSION_SET, DIRECT_ASSIGNMENTS, EXPLANATIONS, KMS_DECRYPT
from ploy_connector_aws.aws.permissions import OPTIONAL as OPTIONAL_ACTIONS
from ploy_connector_aws.aws.permissions_page import render_page
from tests.aws.conftest import SEED_POLICY

OPTIONAL = [KMS_DECRYPT, *(action.iam for action in OPTIONAL_ACTIONS)]
PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"


def test_the_page_is_generated_from_the_list_of_actions() -> None:
    assert PAGE.read_text() == render_page(), (
        "regenerate it: python -m ploy_connector_aws.aws.permissions_page > docs/permissions.md"
    )


def test_the_command_writes_the_page() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "ploy_connector_aws.aws.permissions_page"], capture_output=True, text=True, check=False
    )

    assert (run.stdout, run.stderr) == (PAGE.read_text(), "")


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
    ]
