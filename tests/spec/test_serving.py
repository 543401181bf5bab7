"""What an instance of a connector may know of whom it works for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ploy_connector_aws.spec import (
    ConnectionReport,
    Manifest,
    Page,
    Serving,
    check_connectors,
    current_serving,
    hookimpl,
)


class Counting:
    manifest = Manifest(name="c", title="C", version="1", spec_version=1, description="C", config_schema={})

    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:
        self.serving = current_serving()

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        self.serving.on_call("directory", self.serving.organisation)
        self.serving.on_throttle("directory")
        return ConnectionReport(checks=())

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield from ()


def test_each_instance_works_for_whom_it_was_opened_and_an_instance_without_a_host_for_nobody() -> None:
    installed = check_connectors([("counting", Counting)])["c"]
    told: list[tuple[str, ...]] = []
    servings = [Serving(name, lambda *call: told.append(call), lambda *call: told.append(call)) for name in ("a", "b")]
    for connector in [*(installed.open({}, each) for each in servings), installed.open({})]:
        connector.hooks.test_connection()
    assert told == [("directory", "a"), ("directory",), ("directory", "b"), ("directory",)]
    assert current_serving() == Serving()
