"""The host is told of every attempt of every call, and of every one that AWS throttled."""

from __future__ import annotations

from collections import Counter

from ploy_connector_aws.aws.client.rate_limits import _REGISTRY
from ploy_connector_aws.aws.reader import AwsReader
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.spec import ConnectorContext

from .conftest import Customer


def test_the_host_gets_each_attempt_and_each_throttling(customer: Customer) -> None:
    customer.aws.faults.throttle(1, "ListGroups", times=2)
    customer.aws.faults.cut_connection(1, "ListUsers", times=1)
    calls: Counter[tuple[str, str]] = Counter()
    throttled: Counter[str] = Counter()
    ended: Counter[tuple[str, str]] = Counter()
    serving = ConnectorContext(
        "acme",
        lambda *call: calls.update([call]),
        lambda service: throttled.update([service]),
        lambda *call: ended.update([call]),
    )
    customer.aws.calls.clear()
    reader = AwsReader(
        AwsConfig.from_settings({**customer.settings, "scopes": ["identity-center"]}), lambda: None, serving
    )
    for lists in (reader.read_accounts, reader.read_entitlements, reader.read_resources):
        for _ in lists(frozenset()):
            pass
    assert (calls["identitystore", "ListGroups"], throttled) == (3, {"identitystore": 2})
    assert sum(calls.values()) == len(customer.aws.calls)
    assert calls["sts", "AssumeRole"] == 1
    assert ended == calls


def test_the_connector_hands_on_for_whom_it_works(customer: Customer) -> None:
    calls: list[tuple[str, str]] = []
    mine, other = (ConnectorContext(name, lambda *call: calls.append(call)) for name in ("acme", "other"))
    installed = find_connectors()["aws"]
    for serving in (mine, other):
        connector = installed.open(customer.settings, serving)
        reading = connector.hooks.list_accounts(skip=frozenset())
        next(page for page in reading if page.records)  # AWS was called by now
        budgets = {key[:2] for key in _REGISTRY}
        assert (serving.organisation, customer.settings["account_id"]) in budgets
        assert ("", customer.settings["account_id"]) not in budgets
        for _ in reading:
            pass
        for _ in connector.hooks.list_resources(skip=frozenset()):
            pass
        del connector, reading
    assert calls.count(("sts", "AssumeRole")) == 2
