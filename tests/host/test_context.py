"""The context that a host passes to ``configure``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ploy_connector_aws.host import check_connector
from ploy_connector_aws.spec import ConnectionReport, ConnectorContext, Manifest, Page, hookimpl


class Counting:
    manifest = Manifest(name="c", title="C", version="1", spec_version=1, description="C", config_schema={})

    @hookimpl
    def configure(self, config: Mapping[str, Any], context: ConnectorContext) -> None:
        self.context = context

    @hookimpl
    def test_connection(self) -> ConnectionReport:
        self.context.on_call("directory", self.context.organisation)
        self.context.on_throttle("directory")
        return ConnectionReport(checks=())

    @hookimpl
    def list_accounts(self) -> Iterator[Page]:
        yield from ()


class WithoutContext(Counting):
    @hookimpl
    def configure(self, config: Mapping[str, Any]) -> None:  # type: ignore[override]
        self.context = ConnectorContext("own")


def test_configure_gets_its_context_and_may_omit_it() -> None:
    calls: list[tuple[str, ...]] = []
    contexts = [
        ConnectorContext(name, lambda *call: calls.append(call), lambda *call: calls.append(call))
        for name in ("a", "b")
    ]
    installed = check_connector("counting", Counting)
    for connector in [*(installed.open({}, each) for each in contexts), installed.open({})]:
        connector.test_connection()
    assert calls == [("directory", "a"), ("directory",), ("directory", "b"), ("directory",)]

    check_connector("without", WithoutContext).open({}, contexts[0]).test_connection()
    assert len(calls) == 4
