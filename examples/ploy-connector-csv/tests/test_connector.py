"""The connector keeps the rules of the kit."""

from pathlib import Path

from ploy_connector_aws.testing import ConnectorTests


class TestCsv(ConnectorTests):
    connector = "csv"
    settings = {"folder": str(Path(__file__).with_name("data"))}
