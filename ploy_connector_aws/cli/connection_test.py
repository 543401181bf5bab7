"""The connection test of a command: for settings that Ploy keeps, also the one that Ploy waits for."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import PlatformRejectedError
from ploy_connector_aws.runtime.integration import open_connector, open_platform
from ploy_connector_aws.runtime.settings import OperatorSettings
from ploy_connector_aws.spec import ConnectionReport, ConnectorError

HOLDER = "command-line"
_MOST_TESTS = 10


def test_connection(settings: OperatorSettings) -> ConnectionReport:
    """Test the connection. Where Ploy keeps the settings and waits for a test of them, it gets the report.

    Raises:
        ConfigurationError: A setting is wrong.
        ConnectorError: The test could not be made.
        PlatformError: Ploy keeps the settings, and could not be asked or told.
    """
    if settings.config is not None:
        return open_connector(settings).connector.test_connection()
    with open_platform(settings) as platform:

        def test() -> ConnectionReport:
            return open_connector(settings, platform).connector.test_connection()

        # With settings from variables, it is not Ploy's that are tested.
        status = None if settings.config_overrides else _ask_for_test(platform, settings.integration.id)
        if status is None or status.is_verified:
            return test()
        return _report_test(platform, status.integration, test)


def _ask_for_test(platform: PlatformClient, integration_id: str) -> wire.SetUpStatus | None:
    """Ask whether the settings have passed a test; None where Ploy does not say, as for an integration it lacks."""
    try:
        return platform.change_settings(integration_id, wire.SettingsChange())
    except PlatformRejectedError:
        return None


def _report_test(
    platform: PlatformClient, integration: wire.Integration, test: Callable[[], ConnectionReport]
) -> ConnectionReport:
    """Make the test under the tasks that ask for it; a service may have taken them already, and reports its own."""
    request = wire.LeaseRequest(
        request_id=uuid.uuid4().hex, worker_id=HOLDER, max_tasks=_MOST_TESTS, settings_revision=integration.revision
    )
    tasks = platform.lease_tasks(integration.id, request).tasks
    try:
        report = test()
    except ConnectorError as error:
        for task in tasks:
            failed = wire.TaskFailed(lease_id=task.lease_id, code=error.code, message=error.message, fix=error.fix)
            platform.fail_task(integration.id, task.id, failed)
        raise
    for task in tasks:
        platform.complete_task(integration.id, task.id, wire.TaskDone(lease_id=task.lease_id, report=report))
    return report
