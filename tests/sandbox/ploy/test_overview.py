"""The summary of an integration's tests: outdated ones, and those that could not run."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from ploy_connector_aws.platform import wire

from .browser import Visitor, at
from .conftest import USERS, Customer, account
from .worker import REPORT, Worker

PASSED, OUTDATED, FAILED = "1 passed", "earlier settings", "could not run"


def report(worker: Worker) -> None:
    """The runtime reports a test of its own."""
    acme = worker.customer
    acme.clock.pass_by(minutes=1)
    progress = wire.CheckProgress(
        check_id=f"own-{acme.clock.now}",
        number=1,
        is_final=True,
        report=REPORT,
        settings_revision=worker.revision,
    )
    acme.client.report_check(acme.id, progress)


def make(worker: Worker) -> None:
    """A test is ordered, and the runtime passes it."""
    worker.complete(take(worker))


def fail(worker: Worker) -> None:
    """A test is ordered, and the runtime cannot run it."""
    worker.fail(take(worker))


def take(worker: Worker) -> wire.Task:
    worker.customer.clock.pass_by(minutes=1)
    worker.order("check")
    worker.read_settings()
    (task,) = worker.lease()
    return task


def change(worker: Worker) -> None:
    """A person changes the settings."""
    acme = worker.customer
    acme.ploy.verification.enter(acme.id, {"region": str(acme.clock.now)})


def read(worker: Worker) -> None:
    """The runtime reads the settings."""
    worker.read_settings()


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([read, make], PASSED),
        ([read, make, change], OUTDATED),
        ([read, make, change, make], PASSED),
        ([read, report], PASSED),
        ([read, report, change, read], OUTDATED),
        ([read, report, change, read, report], PASSED),
        ([read, change, report], OUTDATED),
        ([read, make, fail], FAILED),
        ([read, fail], FAILED),
        ([read, fail, make], PASSED),
        ([read, fail, report], PASSED),
    ],
    ids=lambda each: "-".join(step.__name__ for step in each) if isinstance(each, list) else "",
)
def test_summary_shows_the_newest_test_its_age_and_its_failure(
    acme: Customer, visitor: Visitor, steps: list[Callable[[Worker], None]], expected: str
) -> None:
    worker = Worker(acme)
    for step in steps:
        step(worker)

    for path in ("/app/", at(acme)):
        summary = visitor.get(path).text.partition("<dt>Connection test</dt>")[2].partition("</dd>")[0]
        assert [label for label in (PASSED, OUTDATED, FAILED) if label in summary] == [expected], path
    shown = visitor.get(at(acme)).text
    assert ("The newest connection test could not run" in shown) == (expected == FAILED)
    assert ("does not cover the current ones" in shown) == (expected == OUTDATED)


def test_settings_changed_by_the_operator_must_pass_a_test(acme: Customer, visitor: Visitor) -> None:
    make(Worker(acme))
    acme.sync(USERS, account("u1"))
    operator = httpx.Client(
        base_url=f"{acme.ploy.url}/dev/v1", headers={"authorization": "Bearer operator"}, verify=False
    )
    settings = acme.ploy.registry.integration(acme.id).integration.settings

    def change_over_http(**settings: object) -> bool:
        assert operator.patch(f"/integrations/{acme.id}", json={"settings": settings}).status_code == 204
        (listed,) = (one for one in operator.get("/integrations").json() if one["id"] == acme.id)
        assert listed["is_verified"] == acme.ploy.registry.integration(acme.id).is_verified
        return bool(listed["is_verified"])

    with operator:
        assert change_over_http(region=settings["region"])  # nothing differs
        assert not change_over_http(region="us-east-1")
        worker = Worker(acme, holder="other")
        acme.ploy.create_task(acme.id, "sync")
        worker.read_settings()
        assert worker.lease() == ()
        make(worker)
        assert acme.ploy.registry.integration(acme.id).is_verified
        assert operator.patch("/integrations/none", json={"settings": {"region": "x"}}).status_code == 409


def test_rejected_connectors_are_listed_until_the_next_report(
    visitor: Visitor, acme: Customer, enroll: Callable[[str], Customer]
) -> None:
    broken = wire.RefusedConnector(name="okta", distribution="acme-okta", reason="its <entry point> cannot be loaded")
    acme.client.report_refused(wire.RefusedConnectors(refused=(broken,)))
    enroll("other").client.report_refused(wire.RefusedConnectors())
    shown = visitor.get("/app/").text
    assert ("acme-okta" in shown, "its &lt;entry point&gt; cannot be loaded" in shown) == (True, True)
    acme.client.report_refused(wire.RefusedConnectors())
    assert "acme-okta" not in visitor.get("/app/").text
