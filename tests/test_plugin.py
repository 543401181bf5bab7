"""The connector as a host sees it: discovery, configuration, calls, and errors of the specification only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ploy_connector_aws import __version__
from ploy_connector_aws.aws.features import FEATURES, make_permissions
from ploy_connector_aws.aws.labels import LABELS
from ploy_connector_aws.aws.setup import make_wizard
from ploy_connector_aws.config import SCOPE_GROUPS, config_schema
from ploy_connector_aws.host import check_connector
from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.spec import AccessRequest, ConfigurationError, HookFailedError, Manifest, ignore_progress
from tests.test_config import SETTINGS

ORDER = AccessRequest(request_id="r1", account_id="a1", entitlement_id="e1")
INSTALLED = check_connector("ploy-connector-aws", AwsConnector)


def test_the_manifest_can_be_read_without_configuring_anything() -> None:
    assert AwsConnector.manifest == Manifest(
        name="aws",
        title="Amazon Web Services",
        version=__version__,
        spec_version=1,
        description=AwsConnector.manifest.description,
        config_schema=config_schema(),
        features=FEATURES,
        permissions=make_permissions(),
        labels=LABELS,
        wizard=make_wizard(),
    )


def test_each_integration_gets_its_own_instance() -> None:
    first, second = INSTALLED.open(SETTINGS), INSTALLED.open(SETTINGS)

    assert first.hooks is not second.hooks
    assert [hook for hook in ("configure", "list_resources", "grant", "revoke") if first.implements(hook)] == [
        "configure",
        "list_resources",
        "grant",
        "revoke",
    ]


def test_wrong_settings_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError) as refused:
        INSTALLED.open({**SETTINGS, "region": "moon-1"})

    assert refused.value.field == "region"


@pytest.mark.parametrize(
    "call",
    [
        lambda connector: connector.list_accounts(frozenset()),
        lambda connector: connector.list_entitlements(frozenset()),
        lambda connector: connector.list_resources(frozenset()),
        lambda connector: connector.test_connection(ignore_progress),
        lambda connector: connector.grant(ORDER),
        lambda connector: connector.revoke(ORDER),
    ],
    ids=["list_accounts", "list_entitlements", "list_resources", "test_connection", "grant", "revoke"],
)
def test_hook_before_configure_is_rejected(call: Callable[[AwsConnector], Any]) -> None:
    with pytest.raises(ConfigurationError):
        call(AwsConnector())


def test_importing_and_configuring_loads_no_aws_library() -> None:
    program = (
        "import sys\n"
        "from ploy_connector_aws.plugin import AwsConnector\n"
        "from ploy_connector_aws.spec import ConnectorContext\n"
        f"AwsConnector().configure({SETTINGS!r}, ConnectorContext())\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'boto3', 'botocore', 'httpx', 'moto'}))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (run.stdout, run.returncode) == ("[]\n", 0), run.stderr


@pytest.mark.parametrize("odd", [RuntimeError("secret"), KeyError("secret"), MemoryError("secret"), OSError("secret")])
def test_foreign_exception_becomes_an_error_of_the_specification(
    monkeypatch: pytest.MonkeyPatch, odd: Exception
) -> None:
    def raise_it(*_: object, **__: object) -> Iterator[Any]:
        raise odd

    import botocore.httpsession
    import botocore.session

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(botocore.httpsession.URLLib3Session, "send", raise_it)
    connector = INSTALLED.open(SETTINGS)

    report = connector.test_connection()
    pages = [
        *connector.hooks.list_accounts(skip=frozenset()),
        *connector.hooks.list_entitlements(skip=frozenset()),
        *connector.hooks.list_resources(skip=frozenset()),
    ]

    first, *others = (check.outcome for check in report.checks)
    assert (first, set(others)) == ("failed", {"skipped"})
    assert {page.scope: page.ending for page in pages if not page.excluded} == dict.fromkeys(
        ("identity-center", "iam", *SCOPE_GROUPS["resources"]), "failed"
    )
    assert [page.scope for page in pages if page.excluded] == ["aws-accounts"]
    assert "secret" not in f"{report} {pages}"


def test_an_exception_of_our_own_making_does_not_get_out_either(monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    def fail(*_: object, **__: object) -> Any:
        raise sqlite3.OperationalError("disk full")

    connector = INSTALLED.open(SETTINGS)
    monkeypatch.setattr(sqlite3, "connect", fail)

    with pytest.raises(HookFailedError, match=r"\(OperationalError\); connector 'aws', hook list_accounts") as failed:
        list(connector.hooks.list_accounts(skip=frozenset()))
    assert "disk full" not in str(failed.value)
