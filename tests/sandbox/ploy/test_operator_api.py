import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from ploy_connector_aws.sandbox.ploy import LocalPloy

from .conftest import DECIDER, DENIED, USERS, USERS_FAILED, Customer, account, accounts
from .worker import Worker, failed_of


@pytest.fixture
def operator(ploy: LocalPloy) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=f"{ploy.url}/dev/v1", headers={"authorization": "Bearer operator"}, verify=False
    ) as client:
        yield client


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.parametrize("token", ["x", "wrong"])
@pytest.mark.parametrize("path", ["organisations", "integrations", "integrations/x/records"])
def test_only_the_operator_is_authorised(operator: httpx.Client, acme: Customer, token: str, path: str) -> None:
    answers = [
        operator.get(path, headers={"authorization": f"Bearer {value}"})
        for value in (token, acme.client._tokens.token().get_secret_value())
    ]

    assert [answer.status_code for answer in answers] == [401, 401]


def test_organisation_is_created_over_http(operator: httpx.Client, ploy: LocalPloy) -> None:
    organisation_id = operator.post("/organisations", json={"name": "Beta"}).json()["id"]
    issued = operator.post(f"/organisations/{organisation_id}/tokens").json()
    integration = operator.post(
        f"/organisations/{organisation_id}/integrations", json={"connector": "aws", "settings": {"region": "eu-west-1"}}
    ).json()

    assert operator.get("/organisations").json()[organisation_id] == "Beta"
    assert ploy.registry.organisation_of(issued["token"]) == organisation_id
    assert ploy.registry.integration(integration["id"]).integration.model_dump() == integration
    assert integration["settings"].keys() == {"region", "external_id"}
    (listed,) = (one for one in operator.get("/integrations").json() if one["id"] == integration["id"])
    assert (listed["connector"], listed["is_enabled"], listed["hello"]) == ("aws", True, None)
    assert "settings" not in listed

    assert operator.delete(f"/tokens/{issued['id']}").status_code == 204
    assert ploy.registry.organisation_of(issued["token"]) is None


def test_settings_flags_and_limits_are_changed_over_http(operator: httpx.Client, acme: Customer) -> None:
    changes = {"settings": {"region": "us-east-1"}, "flags": {"paused": True}, "limits": {"max_batch_lines": 7}}
    changes["intervals"] = {"poll_interval_seconds": 7}

    assert operator.patch(f"/integrations/{acme.id}", json={**changes, "is_enabled": False}).status_code == 204

    enabled = acme.ploy.registry.integration(acme.id)
    assert (enabled.is_enabled, enabled.flags.paused, enabled.limits.max_batch_lines) == (False, True, 7)
    assert enabled.integration.settings["region"] == "us-east-1"
    (listed,) = (one for one in operator.get("/integrations").json() if one["id"] == acme.id)
    assert listed["intervals"] == {"scan_interval_seconds": 900, "poll_interval_seconds": 7}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "organisations/none/tokens", None, 409),
        ("DELETE", "tokens/none", None, 409),
        ("GET", "integrations/none/records", None, 409),
        ("GET", "integrations/..%2F..%2Fploy/records", None, 404),
        ("POST", "integrations/none/held/x/approve", DECIDER, 409),
        ("POST", "integrations/none/tasks", {"kind": "check"}, 409),
        ("GET", "integrations/none/tasks", None, 409),
        ("POST", "organisations", {"name": 5}, 422),
        ("POST", "organisations", {"surname": "s3cret"}, 422),
        ("GET", "integrations/none/records?type=s3cret", None, 422),
        ("GET", "nothing", None, 404),
        ("PUT", "organisations", None, 405),
    ],
)
def test_impossible_request_is_a_problem_without_its_values(
    operator: httpx.Client, method: str, path: str, body: Any, status: int
) -> None:
    answer = operator.request(method, path, json=body)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert "s3cret" not in answer.text


def test_records_scopes_and_history_are_returned(operator: httpx.Client, acme: Customer) -> None:
    acme.sync(USERS, account("u1"), account("u2"))
    acme.sync(USERS_FAILED, account("u2", username="two"))
    base = f"/integrations/{acme.id}"

    assert rows(operator.get(f"{base}/records?type=account")) == [
        {"type": "account", "id": "u1", "scopes": ["users"], "is_partial": True, "is_retained": True,
         "record": {"id": "u1"}},
        {"type": "account", "id": "u2", "scopes": ["users"], "is_partial": False, "is_retained": False,
         "record": {"id": "u2", "username": "two"}},
    ]  # fmt: skip
    assert rows(operator.get(f"{base}/records?type=grant")) == []
    assert rows(operator.get(f"{base}/scopes")) == [
        {"name": "users", "parent": None, "ending": "failed", "failure": DENIED.model_dump(mode="json"),
         "origin": None, "unproven_since": acme.clock.now.isoformat()}
    ]  # fmt: skip
    first, second = operator.get(f"{base}/generations").json()
    assert (first["number"], second["number"], second["answer"]["retained_unproven"]) == (1, 2, {"account": 1})
    assert rows(operator.get(f"{base}/generations/2/changes")) == [
        {"kind": "changed", "type": "account", "id": "u2", "before": {"id": "u2"}},
    ]


def test_held_sync_is_decided_on_over_http(operator: httpx.Client, acme: Customer) -> None:
    base = f"/integrations/{acme.id}/held"
    acme.sync(USERS, *accounts(12))
    assert operator.get(base).json() == []

    acme.sync(USERS)
    (held,) = operator.get(base).json()
    assert held["answer"]["removed"] == {"account": 12}
    assert operator.post(f"{base}/{held['id']}/reject", json=DECIDER).status_code == 204
    assert len(acme.record_ids) == 12

    acme.sync(USERS)
    (held,) = operator.get(base).json()
    assert operator.post(f"{base}/{held['id']}/approve", json=DECIDER).json()["generation"] == 2
    assert acme.record_ids == []
    assert operator.post(f"{base}/{held['id']}/approve", json=DECIDER).status_code == 410


def test_task_is_created_followed_and_resolved_over_http(operator: httpx.Client, acme: Customer) -> None:
    base, worker = f"/integrations/{acme.id}", Worker(acme)
    now = acme.clock.now.isoformat().replace("+00:00", "Z")
    order = {"kind": "grant", "account_id": "u1", "entitlement_id": "g1", "reason": "on call", "requested_by": "Ada"}

    assert operator.post(f"{base}/tasks", json={"kind": "grant"}).status_code == 409
    assert operator.post(f"{base}/tasks", json={"kind": "burn"}).status_code == 422
    ordered = operator.post(f"{base}/tasks", json={**order, "deadline": "2100-01-01T00:00:00Z"}).json()
    check = operator.post(f"{base}/tasks", json={"kind": "check"}).json()
    task, other = worker.lease()
    worker.complete(other)
    worker.fail(task)

    failure = failed_of(task).model_dump(mode="json", exclude={"lease_id"})
    failed = {
        "id": task.id,
        **order,
        "preview": False,
        "created_at": now,
        "deadline": "2100-01-01T00:00:00Z",
        "state": "manual",
        "attempts": 1,
        "holder": "runtime-1",
        "ended_at": now,
        "resolved_at": None,
        "made_by": None,
        "lease_ends_at": (acme.clock.now + timedelta(minutes=5)).isoformat().replace("+00:00", "Z"),
        "report": failure,
        "failure": failure,
    }
    assert failed == {**ordered, **failed}
    assert operator.get(f"{base}/tasks?state=manual").json() == operator.get(f"{base}/manual-tasks").json() == [failed]
    assert [(one["id"], one["state"]) for one in operator.get(f"{base}/tasks").json()] == [
        *((task.id, "manual"), (check["id"], "done")),
    ]
    assert operator.get(f"{base}/tasks/{task.id}").json() == {
        **failed,
        "history": [
            {"at": acme.clock.now.isoformat(), "event": event, "detail": detail, "name": name}
            for event, detail, name in (
                ("created", "on call", "Ada"),
                ("leased", "by runtime-1", None),
                ("manual", "permission_missing", None),
            )
        ],
    }

    manual = f"{base}/manual-tasks/{task.id}"
    assert operator.post(f"{manual}/resolve", json={"note": ""}).status_code == 422
    again = operator.post(f"{manual}/order-again").json()
    assert (again["state"], again["account_id"], again["id"] != task.id) == ("queued", "u1", True)
    worker.fail(worker.lease()[0])
    resolved = operator.post(f"{base}/manual-tasks/{again['id']}/resolve", json={"note": "By hand."}).json()
    assert (resolved["id"], resolved["resolved_at"]) == (again["id"], now)
    assert operator.get(f"{base}/manual-tasks").json() == []
    assert operator.post(f"{manual}/resolve", json={"note": "Twice."}).status_code == 409
    assert operator.get(f"{base}/tasks/none").status_code == 404


def test_only_the_holder_sees_a_lease_id(operator: httpx.Client, acme: Customer) -> None:
    worker = Worker(acme)
    worker.order("check")
    (task,) = worker.lease()
    worker.complete(task)

    for path in ("tasks", f"tasks/{task.id}"):
        assert task.lease_id not in operator.get(f"/integrations/{acme.id}/{path}").text


def test_every_response_is_marked_as_a_development_host(operator: httpx.Client, ploy: LocalPloy) -> None:
    answers = [httpx.get(ploy.url), operator.get("/integrations"), httpx.get(f"{ploy.url}/connector/v1/integrations")]

    assert [answer.headers["x-ploy-sandbox"] for answer in answers] == ["development host"] * 3
    assert answers[0].headers["location"] == "/app/"


def test_other_host_name_is_rejected(ploy: LocalPloy) -> None:
    assert httpx.get(ploy.url, headers={"host": "rebound.example"}).status_code == 400


def test_records_are_read_from_one_state(acme: Customer) -> None:
    acme.sync(USERS, *accounts(5))
    reading = acme.ploy.view(acme.id).records()
    first = next(reading)

    acme.sync(USERS, account("u000"), hold="Please look.")
    held = acme.ploy.view(acme.id).held()
    assert held is not None
    acme.ploy.approve(acme.id, held.id, **DECIDER)

    assert [record.id for record in (first, *reading)] == [f"u{number:03}" for number in range(5)]
    assert acme.record_ids == ["u000"]


def test_view_keeps_one_state_within_its_block(acme: Customer) -> None:
    acme.sync(USERS, account("u1"))
    view = acme.ploy.view(acme.id)

    with view:
        acme.sync(USERS, account("u1"), account("u2"))
        inside = [record.id for record in view.records()]

    assert (inside, [record.id for record in view.records()]) == (["u1"], ["u1", "u2"])
