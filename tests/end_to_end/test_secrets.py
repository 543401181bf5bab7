"""No secret reaches a log, an error, a record, a snapshot file or the platform's wire, also with everything logged."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path

import pytest
from moto.backends import get_backend

from ploy_connector_aws.sandbox.aws.demo_organisation import demo_organisation
from ploy_connector_aws.spec import AuthenticationError

from .sync_harness import Site, SiteMaker


def secrets_of(site: Site) -> dict[str, str]:
    """Everything that must stay where it belongs."""
    token = (site.world.folder / "token").read_text().strip()
    return {
        "external id": str(site.world.integration.settings["external_id"]),
        "Ploy's AWS secret key": site.world.aws.caller_credentials.secret_access_key,
        "token": token,
    }


def leaks(secrets: dict[str, str], places: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{name} in {place}" for place, text in places for name, secret in secrets.items() if secret in text]


def places_of(site: Site, caplog: pytest.LogCaptureFixture, *printed: str) -> list[tuple[str, str]]:
    """Everything that a sync leaves behind; the platform's own settings store is where the external id belongs."""
    state = site.settings.state.dir
    files = [(path.name, path.read_bytes().decode("latin-1")) for path in state.iterdir() if path.is_file()]
    log = "\n".join(f"{record.getMessage()} {record.exc_text or ''} {record.args}" for record in caplog.records)
    bodies = [(body.path, body.content.decode("latin-1")) for body in site.world.ploy.bodies or []]
    records = [
        ("records", json.dumps([record.content for record in site.world.ploy.view(site.integration_id).records()]))
    ]
    return [*files, *bodies, *records, ("log", log), *(("printed", text) for text in printed)]


def test_no_secret_leaks(sites: SiteMaker, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with sites(demo_organisation()) as site:
        site.world.ploy.bodies = []
        printed = [json.dumps(site.sync().printed)]
        site.world.aws.faults.deny("ListGroups", "DescribePermissionSet")
        printed.append(json.dumps(site.sync().printed))
        site.world.aws.faults.deny("AssumeRole")
        with pytest.raises(AuthenticationError) as caught:
            site.sync()
        printed.append(f"{caught.value!r} {caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}")
        places = places_of(site, caplog, *printed)
        assert {"log", "records", "printed"} <= {place for place, _ in places}
        assert len(site.world.ploy.bodies) > 5
        sessions = get_backend("sts")[site.seeded.instance.owner_account_id]["aws"].assumed_roles
        assert {each.external_id for each in sessions} == {secrets_of(site)["external id"]}, "where it belongs"
        issued = {f"secret key {n}": each.secret_access_key for n, each in enumerate(sessions)}
        issued |= {f"session token {n}": each.session_token for n, each in enumerate(sessions)}
        assert len(issued) >= 4
        assert leaks(secrets_of(site) | issued, places) == []


def test_a_leak_would_be_found(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    site.world.ploy.bodies = []
    site.sync()
    secrets = secrets_of(site)
    logging.getLogger("planted").debug("with %s", secrets["external id"])
    planted: Path = site.settings.state.dir / "planted"
    planted.write_text(secrets["token"])
    assert leaks(secrets, places_of(site, caplog)) == ["token in planted", "external id in log"]
