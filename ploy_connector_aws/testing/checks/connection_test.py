"""Checks of ``test_connection``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ploy_connector_aws.spec import ConnectionReport
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation

HOOK = "hook test_connection"


def report_of(validation: Validation) -> ConnectionReport:
    """Return the report of the connection test."""
    if not isinstance(validation.report, ConnectionReport):
        raise NotTestedError("test_connection gave no report")
    return validation.report


def find_failed_checks(validation: Validation) -> Iterator[Problem]:
    """Find checks that failed, and a test that could not run."""
    report = validation.report
    if not isinstance(report, ConnectionReport):
        yield Problem(HOOK, f"It raised an error: {report.message}")
    elif not report.checks:
        yield Problem(HOOK, "Its report has no checks.")
    else:
        for check in report.checks:
            if check.outcome == "failed":
                yield Problem(f"check {check.name!r}", f"It failed: {check.message}")


def find_unclear_checks(validation: Validation) -> Iterator[Problem]:
    """Find names that two checks have, and failures without a fix."""
    checks = report_of(validation).checks
    for name, count in Counter(check.name for check in checks).items():
        if count > 1:
            yield Problem(f"check {name!r}", f"{count} checks of one report have this name.")
    for check in checks:
        if not check.message.strip():
            yield Problem(f"check {check.name!r}", "It has no message.")
        if check.outcome == "failed" and not check.fix:
            yield Problem(f"check {check.name!r}", "It failed, and names no fix.")


def find_unknown_names(validation: Validation) -> Iterator[Problem]:
    """Find features and permissions in checks and failures that the manifest does not have."""
    manifest = validation.installed.manifest
    features = {feature.name for feature in manifest.features}
    permissions = {permission.name for permission in manifest.permissions}
    report = validation.report
    named = [(f"check {each.name!r}", each) for each in report.checks] if isinstance(report, ConnectionReport) else []
    for where, check in named:
        if check.feature is not None and check.feature not in features:
            yield Problem(where, f"The manifest has no feature {check.feature!r}.")
    missing = [(where, check.missing_permissions) for where, check in named]
    missing += [
        (f"scope {seen.page.scope!r}", seen.page.failure.missing_permissions)
        for seen in validation.first.pages
        if seen.page.failure is not None
    ]
    for where, names in missing:
        for name in names:
            if permissions and name not in permissions:
                yield Problem(where, f"The manifest has no permission {name!r}.")
