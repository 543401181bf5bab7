"""Checks of ``test_connection``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ploy_connector_aws.spec import ConnectionReport
from ploy_connector_aws.testing.results import NotTestedError, Problem
from ploy_connector_aws.testing.validation import Validation

HOOK = "test_connection"


def report_of(validation: Validation) -> ConnectionReport:
    """Return the report of the connection test."""
    if not isinstance(validation.report, ConnectionReport):
        raise NotTestedError("test_connection gave no report")
    return validation.report


def find_failed_checks(validation: Validation) -> Iterator[Problem]:
    """Find checks that failed, and a test that could not run."""
    report = validation.report
    if not isinstance(report, ConnectionReport):
        yield Problem(f"hook {HOOK}", f"It raised an error: {report.message}", hook=HOOK)
    elif not report.checks:
        yield Problem(f"hook {HOOK}", "Its report has no checks.", hook=HOOK)
    else:
        for check in report.checks:
            if check.outcome == "failed":
                yield Problem(f"check {check.name!r}", f"It failed: {check.message}", hook=HOOK)


def find_unclear_checks(validation: Validation) -> Iterator[Problem]:
    """Find names that two checks have, and failures without a fix."""
    checks = report_of(validation).checks
    for name, count in Counter(check.name for check in checks).items():
        if count > 1:
            yield Problem(f"check {name!r}", f"{count} checks of one report have this name.", hook=HOOK)
    for check in checks:
        if not check.message.strip():
            yield Problem(f"check {check.name!r}", "It has no message.", hook=HOOK)
        if check.outcome == "failed" and not check.fix:
            yield Problem(f"check {check.name!r}", "It failed, and names no fix.", hook=HOOK)


def find_unknown_permissions(validation: Validation) -> Iterator[Problem]:
    """Find missing permissions, in checks and in failures of scopes, that the manifest does not have."""
    permissions = {permission.name for permission in validation.installed.manifest.permissions}
    if not permissions:
        raise NotTestedError("the manifest has no permissions")
    report = validation.report
    checks = report.checks if isinstance(report, ConnectionReport) else ()
    missing = [(f"check {each.name!r}", each.missing_permissions) for each in checks]
    missing += [
        (f"scope {seen.page.scope!r}", seen.page.failure.missing_permissions)
        for seen in validation.first.pages
        if seen.page.failure is not None
    ]
    for where, names in missing:
        for name in names:
            if name not in permissions:
                yield Problem(where, f"It reports {name!r} as missing; manifest.permissions lacks it.", hook=HOOK)
