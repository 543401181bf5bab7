"""The public API changes only where its file does, and a connector of the first version still runs."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest

from ploy_connector_aws import spec, testing
from ploy_connector_aws.host import Connector, change_access, load_file
from ploy_connector_aws.host.page_check import PageCheck
from ploy_connector_aws.spec import AccessRequest, ConfigurationError, ConnectorContext, NotFoundError, RejectedError
from tools import api


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return api.read_api()


def test_public_api_is_that_of_the_file(described: dict[str, Any]) -> None:
    assert described == json.loads(api.FILE.read_text()), (
        "the public API changed: see docs/reference/stability.md, then run: .venv/bin/python -m tools.api"
    )


def test_every_exported_name_is_in_the_file(described: dict[str, Any]) -> None:
    assert {name: sorted(described[name]) for name in api.PACKAGES} == {
        module.__name__: sorted(module.__all__) for module in (spec, testing)
    }


FROZEN = Path(__file__).parent / "data" / "spec-1" / "badges.py"
DIGEST = "878cfea228e0e4752c7d3fe891b72bc96fe19bfc9c2a17a42275cc506ca82460"
CONTENT = {
    "people": [{"id": "p-1", "name": "ann"}, {"id": "p-2", "name": "ben"}],
    "badges": [
        {"id": "b-1", "name": "Lab", "members": ["p-1"]},
        {"id": "b-master", "name": "Master", "members": ["p-2"]},
    ],
}


def test_source_of_the_frozen_connector_is_unchanged() -> None:
    assert hashlib.sha256(FROZEN.read_bytes()).hexdigest() == DIGEST, "write another connector instead"


@pytest.fixture
def badges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connector]:
    """The frozen connector, loaded and opened by the host."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "badges.json").write_text(json.dumps(CONTENT))
    loaded = load_file(f"{FROZEN}:Badges")
    notes: list[str] = []
    context = ConnectorContext(on_note=notes.append)
    with loaded.open({"path": str(tmp_path / "badges.json"), "pin": "12345678"}, context) as connector:
        yield connector
    assert notes == ["closed"]
    sys.modules.pop("badges", None)


def test_connector_of_version_1_has_the_same_manifest_and_set_up(badges: Connector) -> None:
    manifest = badges.installed.manifest
    assert manifest.hooks == (
        *("configure", "test_connection", "list_accounts", "list_entitlements", "list_resources"),
        *("grant", "revoke", "close"),
    )
    assert (manifest.spec_version, manifest.scan_interval_seconds, manifest.poll_interval_seconds) == (1, 3600, 30)
    wizard = manifest.wizard
    assert wizard is not None
    (document,) = wizard.documents()
    assert wizard.render_document(document, {"path": "/a", "site": "Oslo"}, ["visitors"]) == (
        'file = "/a"\nvisitors = "Oslo"\n'
    )


def test_connector_of_version_1_is_configured_with_defaults_and_refused_as_before(tmp_path: Path) -> None:
    loaded = load_file(f"{FROZEN}:Badges")
    right = {"path": "/x", "pin": "12345678"}
    for settings, field in (
        ({"pin": "12345678"}, "path"),
        (right | {"site": "nowhere"}, "site"),
        (right | {"x": 1}, "x"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            loaded.open(settings)
        assert refused.value.field == field


def test_connector_of_version_1_tests_its_connection_and_lists_the_same(badges: Connector) -> None:
    shown: list[int] = []
    report = badges.test_connection(lambda each: shown.append(len(each.checks)))
    assert [(check.name, check.outcome, check.message) for check in report.checks] == [
        ("people", "passed", "There are 2."),
        ("badges", "passed", "There are 2."),
    ]
    assert shown[-1] == 2
    check = PageCheck(badges.redactor)
    endings: dict[str, Any] = {}
    records: dict[str, list[str]] = {}
    for hook in ("list_accounts", "list_entitlements", "list_resources"):
        for page in getattr(badges.hooks, hook)(skip=frozenset()):
            checked = check.check(page, hook)
            assert checked.problems == ()
            endings[page.scope] = endings.get(page.scope) or page.ending
            records.setdefault(page.scope, []).extend(body.decode() for body in checked.bodies)
    assert endings == {
        **dict.fromkeys(("people", "badges", "badges/b-1", "badges/b-master", "houses"), "complete"),
        "visitors": "failed",
        "badges/b-lost": "gone",
    }
    assert records == json.loads((FROZEN.parent / "records.json").read_text())


def test_connector_of_version_1_grants_and_revokes(badges: Connector) -> None:
    def request(badge: str, *, preview: bool = False) -> AccessRequest:
        return AccessRequest(request_id="r-1", account_id="p-2", entitlement_id=badge, preview=preview)

    def change(kind: Literal["grant", "revoke"], *, preview: bool = False) -> tuple[str, int, int, bool | None]:
        done = change_access(badges, kind, request("b-1", preview=preview), lambda: datetime.now(UTC))
        return done.outcome, len(done.added), len(done.removed), done.has_sessions

    assert [
        change("grant", preview=True),
        change("grant"),
        change("grant"),
        change("grant", preview=True),
        change("revoke"),
        change("revoke"),
    ] == [
        ("previewed", 1, 0, False),
        ("applied", 1, 0, False),
        ("already_in_effect", 1, 0, False),
        ("previewed", 0, 0, False),
        ("applied", 0, 1, False),
        ("already_in_effect", 0, 1, False),
    ]
    for badge, error in (("b-none", NotFoundError), ("b-master", RejectedError)):
        with pytest.raises(error):
            change_access(badges, "grant", request(badge), lambda: datetime.now(UTC))
