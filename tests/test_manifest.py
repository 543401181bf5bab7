"""The checked-in manifest matches the code, and contains all that a host needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from ploy_connector_aws.cli.connectors import render_manifest
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.host import check_connector
from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.spec import Manifest

FILE = Path(__file__).parent.parent / "manifest.yaml"
MANIFEST = check_connector("ploy-connector-aws", AwsConnector).manifest
SEED = (Path(__file__).parent / "data" / "aws-policy.json").read_text().strip()


def test_the_manifest_file_is_generated_from_the_code() -> None:
    assert FILE.read_text() == render_manifest(MANIFEST), "run: .venv/bin/ploy-connector manifest > manifest.yaml"


def test_the_manifest_file_can_be_read_back() -> None:
    assert Manifest.model_validate(yaml.safe_load(FILE.read_text())) == MANIFEST


def test_the_manifest_describes_every_setting_and_marks_the_secrets() -> None:
    properties = yaml.safe_load(FILE.read_text())["config_schema"]["properties"]
    assert set(properties) == set(AwsConfig.model_fields)
    assert all(field["description"] for field in properties.values())
    assert {name for name, field in properties.items() if field.get("writeOnly")} == {"external_id"}


def test_manifest_contains_what_a_host_needs() -> None:
    assert (MANIFEST.spec_version, MANIFEST.scan_interval_seconds, MANIFEST.poll_interval_seconds) == (1, 900, 10)
    assert MANIFEST.hooks == (
        "configure",
        "test_connection",
        *("list_accounts", "list_entitlements", "list_resources"),
        *("grant", "revoke", "close"),
    )


HOST = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        ours = name.startswith("ploy_connector_aws.") and name.split(".")[1] != "spec"
        if ours or name.split(".")[0] in ("boto3", "botocore", "httpx"):
            raise ImportError(name + " is absent")
sys.meta_path.insert(0, Absent())
import yaml
from ploy_connector_aws.spec import Manifest, choose_features
manifest = Manifest.model_validate(yaml.safe_load(open(sys.argv[1])))
policy = {document.id: document for document in manifest.wizard.documents()}["policy"]
print(manifest.wizard.render_document(policy, {}, choose_features(manifest.features)))
"""


def test_a_host_renders_the_policy_from_the_file_alone_without_the_connector() -> None:
    done = subprocess.run([sys.executable, "-c", HOST, str(FILE)], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.strip()) == ("", SEED)


def test_every_permission_names_its_features() -> None:
    features = {feature.name for feature in MANIFEST.features}
    of_the_policy = [action for statement in json.loads(SEED)["Statement"] for action in statement["Action"]]
    assert [each.name for each in MANIFEST.permissions if each.is_required] == of_the_policy
    assert [(each.name, each.features) for each in MANIFEST.permissions if not each.is_required] == [
        ("sso:ListAccountsForProvisionedPermissionSet", ("assignments-by-permission-set",)),
        ("sso:ListAccountAssignments", ("assignments-by-permission-set",)),
        ("sso:CreateAccountAssignment", ("direct-assignments",)),
        ("sso:DescribeAccountAssignmentCreationStatus", ("direct-assignments",)),
        ("sso:DeleteAccountAssignment", ("direct-assignments",)),
        ("sso:DescribeAccountAssignmentDeletionStatus", ("direct-assignments",)),
        ("organizations:ListAccounts", ("account-names",)),
        ("kms:Decrypt", ("customer-managed-key",)),
    ]
    needing = {name for each in MANIFEST.permissions for name in each.features}
    assert features - needing == {"externally-managed-groups"}
