"""The manifest that is checked in is the one that the code gives."""

from __future__ import annotations

from pathlib import Path

import yaml

from ploy_connector_aws.cli.manifest import render_manifest
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.plugin import AwsConnector

MANIFEST = Path(__file__).parent.parent / "manifest.yaml"


def test_the_manifest_file_is_generated_from_the_code() -> None:
    assert MANIFEST.read_text() == render_manifest(AwsConnector.manifest), (
        "run: .venv/bin/ploy-connector manifest > manifest.yaml"
    )


def test_the_manifest_describes_every_setting_and_marks_the_secrets() -> None:
    properties = yaml.safe_load(MANIFEST.read_text())["config_schema"]["properties"]
    assert set(properties) == set(AwsConfig.model_fields)
    assert all(field["description"] for field in properties.values())
    assert {name for name, field in properties.items() if field.get("writeOnly")} == {"external_id"}
