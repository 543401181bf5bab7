"""Unfinished set-ups: begun once, resumed, and removed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import UnknownIntegrationError
from ploy_connector_aws.sandbox.ploy import ForbiddenError
from ploy_connector_aws.spec import Step, Wizard, WizardField

from .browser import Visitor, at, text
from .conftest import DECIDER, USERS, Customer, Enroll, accounts
from .manifests import CLUB
from .worker import REPORT, Worker


def step(id_: str, *names: str) -> Step:
    fields = (WizardField(name=name, source="host" if name == "knock" else "person") for name in names)
    return Step(id=id_, title=id_, text=(), fields=tuple(fields))


HALL = CLUB.model_copy(
    update={
        "wizard": Wizard(
            steps=(
                step("where", "address", "knock"),
                step("which", "door"),
                step("test").model_copy(update={"tests_connection": True}),
            )
        )
    }
)


@contextmanager
def taking_turns_often() -> Iterator[None]:
    """Make threads interleave."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def begin(visitor: Visitor) -> str:
    return visitor.fill("/app/setup/club").headers["location"].split("/")[3]


def resumed(visitor: Visitor, own: str) -> str:
    return visitor.get(f"/app/integrations/{own}/setup").headers["location"].rpartition("/")[2]


def test_repeated_begin_returns_the_untouched_draft(visitor: Visitor, acme: Customer, enroll: Enroll) -> None:
    other = enroll("Other")
    for each in (acme, other):
        each.client.put_manifest(CLUB)
    all_at_once = threading.Barrier(8)

    def ask(_: int) -> str:
        all_at_once.wait()
        return acme.ploy.verification.begin(acme.organisation_id, "club")

    with ThreadPoolExecutor(8) as pool, taking_turns_often():
        begun = set(pool.map(ask, range(8)))
    assert begun == {begin(visitor)}
    (own,) = begun
    assert other.ploy.verification.begin(other.organisation_id, "club") != own

    acme.ploy.verification.enter(own, {"address": "a.b"})
    second = begin(visitor)
    assert second not in (own, acme.id)
    assert begin(visitor) == second


def test_setup_resumes_at_the_step_that_was_reached(visitor: Visitor, acme: Customer) -> None:
    acme.client.put_manifest(HALL)
    own = begin(visitor)
    at_own = f"/app/integrations/{own}"
    seen = [resumed(visitor, own)]
    visitor.fill(f"{at_own}/setup/where", address="a.b")
    seen.append(resumed(visitor, own))
    visitor.fill(f"{at_own}/setup/which", door="no such door")
    seen.append(resumed(visitor, own))
    visitor.fill(f"{at_own}/setup/which", door="back")
    seen.append(resumed(visitor, own))
    acme.client.put_manifest(CLUB)  # which has no such step
    seen.append(resumed(visitor, own))
    acme.client.put_manifest(HALL)
    visitor.fill(f"{at_own}/setup/test")
    seen.append(resumed(visitor, own))
    acme.id = own
    worker = Worker(acme)
    worker.read_settings()
    (task,) = worker.lease()
    acme.client.complete_task(own, task.id, wire.TaskDone(lease_id=task.lease_id, report=REPORT))
    seen.append(resumed(visitor, own))

    assert seen == ["where", "which", "which", "test", "all", "test", "where"]


def test_unused_draft_is_removed_with_its_files(visitor: Visitor, acme: Customer) -> None:
    acme.client.put_manifest(HALL)
    own = begin(visitor)
    visitor.fill(f"/app/integrations/{own}/setup/where", address="a.b")
    visitor.fill(f"/app/integrations/{own}/setup/test")
    client, folder = acme.client, acme.ploy._state_dir
    secret = str(acme.ploy.registry.integration(own).integration.settings["knock"])
    acme.id = own
    worker = Worker(acme)
    worker.read_settings()
    (task,) = worker.lease()
    assert "Remove this set-up" in visitor.get(at(acme)).text

    assert visitor.fill(at(acme, "/remove")).headers["location"] == "/app/"

    assert "Removed the set-up" in visitor.get("/app/").text
    assert (visitor.get(at(acme)).status_code, visitor.get(at(acme, f"/tasks/{task.id}")).status_code) == (404, 404)
    assert own not in [each.id for each in client.integrations().integrations]
    with pytest.raises(UnknownIntegrationError):
        client.complete_task(own, task.id, wire.TaskDone(lease_id=task.lease_id, report=REPORT))
    with pytest.raises(ForbiddenError, match="no such integration"):
        acme.ploy.queue(own).tasks()
    assert list(folder.glob(f"integrations/{own}*")) == []
    assert acme.ploy.reports.of_task(own, task.id) is None
    assert begin(visitor) != own
    assert secret not in str(acme.ploy.registry.integrations())


def lease_first_test(visitor: Visitor, acme: Customer) -> wire.Task:
    """Set a new integration up, which becomes the customer's, and lease the test of its settings."""
    acme.client.put_manifest(HALL)
    acme.id = begin(visitor)
    visitor.fill(at(acme, "/setup/where"), address="a.b")
    visitor.fill(at(acme, "/setup/test"))
    worker = Worker(acme)
    worker.read_settings()
    (task,) = worker.lease()
    return task


def test_used_integration_is_removed_only_with_its_typed_name(visitor: Visitor, acme: Customer) -> None:
    made = acme.id
    task = lease_first_test(visitor, acme)
    acme.client.complete_task(acme.id, task.id, wire.TaskDone(lease_id=task.lease_id, report=REPORT))
    visitor.fill(at(acme, "/setup/where"), address="c.d", **DECIDER)
    assert not acme.ploy.registry.integration(acme.id).is_verified

    for own in (acme.id, made):
        assert "Remove this set-up" not in visitor.get(f"/app/integrations/{own}").text
        for typed, status in (("", 409), ("Aws Club", 422), ("The Clu", 422)):
            answer = visitor.fill(f"/app/integrations/{own}/remove", name=typed)
            assert (answer.status_code, "name" in answer.text) == (status, True)
        assert acme.ploy.registry.integration(own)


def test_removal_of_a_used_integration_forgets_it_and_stops_its_runtime(visitor: Visitor, acme: Customer) -> None:
    acme.client.put_manifest(CLUB.model_copy(update={"name": "aws"}))
    acme.sync(USERS, *accounts(12))
    acme.sync(USERS)
    worker = Worker(acme)
    worker.order("grant")
    (task,) = worker.lease()
    page = text(visitor.get(at(acme, "/remove")).text)
    for stated in ("2 syncs", "1 task,", "The Club is not changed", "waits for approval", "1 task is not finished"):
        assert stated in page

    assert visitor.fill(at(acme, "/remove"), name="the club").headers["location"] == "/app/"

    assert "Removed The Club, with everything" in visitor.get("/app/").text
    assert visitor.get(at(acme)).status_code == 404
    assert list((acme.ploy._state_dir / "integrations").glob(f"{acme.id}*")) == []
    assert acme.id not in [each.id for each in acme.client.integrations().integrations]
    for call in (worker.lease, lambda: worker.complete(task), lambda: acme.sync(USERS)):
        with pytest.raises(UnknownIntegrationError):
            call()


def test_a_passed_test_shows_no_verdict_until_it_is_stored(visitor: Visitor, acme: Customer) -> None:
    task = lease_first_test(visitor, acme)
    done = wire.TaskDone(lease_id=task.lease_id, report=REPORT)
    progress = at(acme, f"/tasks/{task.id}/progress")

    acme.ploy.queue(acme.id).complete(task.id, done)
    ended = acme.ploy.reports.ended(acme.id, task.id, REPORT)
    before = visitor.get(progress).text
    acme.ploy.verification.ended(acme.id, task.id, REPORT)
    after = visitor.get(progress).text

    assert ended is not None
    assert ("data-in-progress" in before, "earlier settings" in before, "Connected" in before) == (True, False, False)
    assert ("data-in-progress" in after, "Connected" in after) == (False, True)
