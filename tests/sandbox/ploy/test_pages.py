"""Login and sessions, protection against other sites, set-up forms, lists and orders."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ploy_connector_aws.graph.search import Search
from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformRejectedError
from ploy_connector_aws.sandbox.ploy import LocalPloy, pages
from ploy_connector_aws.sandbox.ploy.pages.session import IDLE_SECONDS, Sessions
from ploy_connector_aws.spec import Document, Step, Wizard, WizardField
from tests.host.test_default_wizard import PLAIN

from .browser import Visitor, at
from .conftest import DECIDER, USERS, Customer, Enroll, account, accounts
from .manifests import CLUB
from .worker import Worker, failed_of


def test_pages_require_a_login(stranger: Visitor, acme: Customer) -> None:
    paths = ["/app/", at(acme), at(acme, "/accounts"), at(acme, "/tasks"), at(acme, "/setup/all"), "/app/none"]
    answers = [stranger.get(path) for path in paths]

    assert [answer.headers.get("location") for answer in answers[:-1]] == ["/app/login"] * 5
    assert stranger.get("/").headers["location"] == "/app/"
    assert stranger.get("/app/", headers={"x-part": "1"}).status_code == 401
    assert stranger.fill("/app/login", key="wrong").status_code == 401


def test_login_link_works_once_and_only_by_its_form(ploy: LocalPloy, stranger: Visitor) -> None:
    link = ploy.login_url
    key = link.partition("key=")[2]
    assert [stranger.get(link).status_code for _ in range(2)] == [200, 200]  # opening the link does not use it up
    before = dict(stranger.cookies)
    assert stranger.fill("/app/login", key=key).headers["location"] == "/app/"
    assert dict(stranger.cookies) != before  # against session fixation
    assert stranger.get("/app/").status_code == 200
    stranger.fill("/app/logout")
    assert stranger.get("/app/").headers["location"] == "/app/login"
    assert stranger.fill("/app/login", key=key).status_code == 401


def test_login_link_expires_after_ten_minutes() -> None:
    now = [0.0]
    sessions = Sessions("operator", lambda: now[0])
    keys = [sessions.make_login_key() for _ in range(2)]
    now[0] += 599
    assert sessions.open(keys[0]) is not None
    now[0] += 2
    assert sessions.open(keys[1]) is None
    assert sessions.open("operator") is not None


def test_idle_session_ends() -> None:
    now = [0.0]
    sessions = Sessions("operator", lambda: now[0])
    id_ = sessions.open("operator") or ""
    found = []
    for seconds in (IDLE_SECONDS, IDLE_SECONDS, IDLE_SECONDS + 1):
        now[0] += seconds
        found.append(sessions.find(id_) is not None)

    assert found == [True, True, False]


def test_cookie_is_http_only_and_same_site(stranger: Visitor) -> None:
    cookie = stranger.get("/app/login").headers["set-cookie"]

    assert {part.strip() for part in cookie.split(";")[1:]} == {"HttpOnly", "Path=/app", "SameSite=strict"}


@pytest.mark.parametrize("path", ["/app/", "/app/login", "/app/none", "/app/static/page.css", "/app/static/page.js"])
def test_every_response_has_the_security_headers(visitor: Visitor, path: str) -> None:
    headers = visitor.get(path).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert not any(source in policy for source in ("unsafe", "http", "*", "data:"))
    assert (headers["x-frame-options"], headers["x-content-type-options"]) == ("DENY", "nosniff")
    assert (headers["cache-control"], headers["x-ploy-sandbox"]) == ("no-store", "development host")


def posts(customer: Customer) -> list[str]:
    paths = ["/switch", "/order", "/remove", "/preview", "/setup/all", "/setup/all/carry-out", "/tasks/t/resolve"]
    paths += ["/tasks/t/order-again", "/syncs/s/approve", "/syncs/s/reject", "/access/t", "/findings/1/accept"]
    paths += ["/findings/1/reopen"]
    return [*("/app/organisation", "/app/logout", "/app/setup/club"), *(at(customer, path) for path in paths)]


def test_form_without_its_token_or_from_another_site_is_rejected(visitor: Visitor, acme: Customer) -> None:
    token, enabled = visitor.token(), acme.ploy.registry.integration(acme.id)
    wrong: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"form_token": "0" * 64}, {}),
        ({"form_token": token}, {"origin": "http://evil.example"}),
        ({"form_token": token}, {"origin": "null"}),
    ]
    for path in posts(acme):
        codes = [visitor.post(path, data=data, headers=headers).status_code for data, headers in wrong]
        assert codes == [403] * 4, path
    assert acme.ploy.registry.integration(acme.id) == enabled
    routes = [route for part in pages.PARTS for route in part.router.routes if "POST" in getattr(route, "methods", ())]
    assert len(routes) == len(posts(acme)) + 1  # and the login


def test_form_beyond_its_limit_or_without_a_length_is_rejected(visitor: Visitor, acme: Customer) -> None:
    token = visitor.token()
    large = {"form_token": token, "organisation": "x" * 256 * 1024}
    parts = [f"form_token={token}&organisation=".encode(), acme.organisation_id.encode()]
    as_form = {"content-type": "application/x-www-form-urlencoded"}

    assert visitor.post("/app/organisation", data=large).status_code == 413
    assert visitor.post("/app/organisation", content=iter(parts), headers=as_form).status_code == 413
    assert visitor.post("/app/organisation", content=b"".join(parts), headers=as_form).status_code == 303


def test_page_under_another_host_name_is_rejected(visitor: Visitor) -> None:
    assert visitor.get("/app/", headers={"host": "evil.example"}).status_code == 400


def test_integration_of_another_organisation_is_unknown_on_every_page(
    visitor: Visitor, acme: Customer, enroll: Enroll
) -> None:
    other = enroll("Other")
    other.sync(USERS, account("u1"))
    paths = ["", "/accounts", "/account?id=u1", "/syncs", "/unproven", "/tasks", "/setup", "/grant?account=u1"]

    assert [visitor.get(at(other, path)).status_code for path in paths] == [404] * len(paths)
    assert visitor.fill(at(other, "/switch"), switch="paused:on", **DECIDER).status_code == 404
    assert not other.ploy.registry.integration(other.id).flags.paused


def test_switches_take_effect_and_an_unverified_integration_stays_off(visitor: Visitor, acme: Customer) -> None:
    acme.client.put_manifest(CLUB)
    for name, to in (("paused", "on"), ("read_only", "on"), ("enabled", "off")):
        visitor.fill(at(acme, "/switch"), switch=f"{name}:{to}", **DECIDER)
    enabled = acme.ploy.registry.integration(acme.id)
    assert (enabled.flags.paused, enabled.flags.read_only, enabled.is_enabled) == (True, True, False)
    assert visitor.fill(at(acme, "/order"), kind="sync").status_code == 409

    begun = visitor.fill("/app/setup/club").headers["location"]
    own = begun.split("/")[3]
    assert visitor.fill(f"/app/integrations/{own}/switch", switch="enabled:on", **DECIDER).status_code == 409
    assert not acme.ploy.registry.integration(own).is_enabled
    assert (
        visitor.fill(f"/app/integrations/{own}/preview", kind="grant", account="a", entitlement="b").status_code == 409
    )


def test_input_is_parsed_by_the_schema_and_secrets_are_not_shown_again(visitor: Visitor, acme: Customer) -> None:
    acme.client.put_manifest(CLUB)
    own = visitor.fill("/app/setup/club").headers["location"].split("/")[3]
    step = f"/app/integrations/{own}/setup/all"
    wrong = {"address": "NO!", "knock": "mine", "door": "side", "floors": "many", "password": "s3cret-8"}
    refused = visitor.fill(step, **wrong)
    assert (refused.status_code, "s3cret-8" in refused.text, "NO!" in refused.text) == (422, False, True)
    assert refused.text.count('aria-invalid="true"') == 3
    assert (refused.text.count("autofocus"), "This must be a name." in refused.text) == (1, True)
    assert list(acme.ploy.registry.integration(own).integration.settings) == ["knock"]

    good = {"address": "a.b", "knock": "mine", "door": "back", "floors": "3", "password": "s3cret-8", "is_loud": "on"}
    assert "?test=task-" in visitor.fill(step, **good).headers["location"]
    settings = acme.ploy.registry.integration(own).integration.settings
    knock = settings.pop("knock")
    assert knock != "mine"
    assert settings == {"address": "a.b", "door": "back", "floors": 3, "password": "s3cret-8", "is_loud": True}
    shown = visitor.get(step).text
    assert ("s3cret-8" in shown, f"&#34;{knock}&#34;" in shown, "https://club.example/?a=a.b" in shown) == (
        *(False, True, True),
    )


def test_a_connector_without_a_wizard_has_one_step_with_its_defaults(visitor: Visitor, acme: Customer) -> None:
    acme.client.put_manifest(PLAIN.manifest)
    own = visitor.fill("/app/setup/plain").headers["location"].split("/")[3]
    step = f"/app/integrations/{own}/setup/settings"
    shown = visitor.get(step).text
    assert (shown.count('name="port" value="443"'), shown.count('name="folder"')) == (1, 1)
    assert visitor.fill(step, port="x").status_code == 422
    assert "?test=task-" in visitor.fill(step, port="8", folder="/srv", feature="rooms").headers["location"]
    assert acme.ploy.registry.integration(own).integration.settings == {"folder": "/srv", "port": 8}


def test_a_document_shows_what_was_entered_in_its_own_step(visitor: Visitor, acme: Customer) -> None:
    note = Document(id="note", title="A note", language="text", file_name="n", template="Go to {{ address }}!")
    first = Step(id="first", title="First", text=(), fields=(WizardField(name="address"),), documents=(note,))
    last = Step(id="last", title="Last", text=(), tests_connection=True)
    acme.client.put_manifest(CLUB.model_copy(update={"wizard": Wizard(steps=(first, last))}))
    own = visitor.fill("/app/setup/club").headers["location"].split("/")[3]
    page = f"/app/integrations/{own}/setup"
    assert (
        "A note: fill in Address of the club above and continue; it is shown here then."
        in visitor.get(f"{page}/first").text
    )
    assert visitor.fill(f"{page}/first", address="a.b").headers["location"] == f"{page}/first"
    assert "Go to a.b!" in visitor.get(f"{page}/first").text
    assert visitor.fill(f"{page}/first", address="a.b").headers["location"] == f"{page}/last"
    assert visitor.fill(f"{page}/first", address="a.c").headers["location"] == f"{page}/first"


@pytest.mark.parametrize("schema", [{"properties": {"a": {"type": "nothing"}}}, {"properties": {"a": {"$ref": "#/b"}}}])
def test_a_manifest_with_a_schema_that_no_page_can_use_is_refused(acme: Customer, schema: dict[str, Any]) -> None:
    with pytest.raises(PlatformRejectedError, match="config_schema"):
        acme.client.put_manifest(CLUB.model_copy(update={"config_schema": schema, "features": (), "wizard": None}))


def test_a_setting_with_a_media_type_is_a_text_of_several_lines(visitor: Visitor, acme: Customer) -> None:
    lines = {"type": "string", "contentMediaType": "application/x-pem-file"}
    properties = {"certificate": lines, "key": {**lines, "writeOnly": True}}
    names = tuple(WizardField(name=name) for name in properties)
    step = Step(id="all", title="All", text=(), fields=names)
    acme.client.put_manifest(
        CLUB.model_copy(
            update={"config_schema": {"properties": properties}, "wizard": Wizard(steps=(step,)), "features": ()}
        )
    )
    own = visitor.fill("/app/setup/club").headers["location"].split("/")[3]
    page = f"/app/integrations/{own}/setup/all"
    pem = "-----BEGIN-----\n\nMIIBszCCAVmgAwIBAgIUQ\n-----END-----\n"
    sent = {name: pem.replace("\n", "\r\n") for name in properties}
    assert visitor.fill(page, **sent).status_code == 303
    assert acme.ploy.registry.integration(own).integration.settings == {"certificate": pem, "key": pem}
    shown = visitor.get(page).text
    assert (shown.count("<textarea"), shown.count(f">{pem}</textarea>")) == (2, 1)
    assert "MIIBszCCAVmgAwIBAgIUQ" not in visitor.get("/app/").text
    assert visitor.fill(page, certificate=pem, key="").status_code == 303  # a saved secret stays
    assert acme.ploy.registry.integration(own).integration.settings["key"] == pem


def test_names_are_typed_as_lines_of_id_and_name(visitor: Visitor, acme: Customer) -> None:
    acme.client.put_manifest(find_connectors()["aws"].manifest)
    own = visitor.fill("/app/setup/aws").headers["location"].split("/")[3]
    step = f"/app/integrations/{own}/setup/account"
    typed = {"account_id": "111122223333", "region": "eu-west-1", "feature": "iam"}
    wrong = "111122223333 = Pay\r\n\r\n1 = x"
    refused = visitor.fill(step, **typed, names=wrong)
    assert refused.status_code == 422
    assert "This must have one line for each AWS account, such as 111122223333 = Production." in refused.text
    assert f"{wrong}</textarea>" in refused.text

    assert visitor.fill(step, **typed, names="111122223333 = Pay & Co\r\n").status_code == 303
    assert acme.ploy.registry.integration(own).integration.settings["names"] == {"111122223333": "Pay & Co"}
    assert "111122223333 = Pay &amp; Co</textarea>" in visitor.get(step).text
    visitor.fill(step, **typed, names="")
    assert "names" not in acme.ploy.registry.integration(own).integration.settings


def test_invalid_form_keeps_its_input_except_secrets(visitor: Visitor, acme: Customer) -> None:
    acme.client.put_manifest(CLUB)
    own = visitor.fill("/app/setup/club").headers["location"].split("/")[3]
    step = f"/app/integrations/{own}/setup/all"
    good = {
        "address": "a.b",
        "door": "back",
        "floors": "3",
        "password": "s3cret-8",
        "is_loud": "on",
        "feature": "dance",
    }
    visitor.fill(step, **good)
    changed = {"address": "c.d", "door": "front", "floors": "none", "password": "n3w-8888", "feature": "sing"}
    shown = visitor.fill(step, **changed).text

    assert re.findall(r'name="(address|floors|password)" value="(.*?)"', shown) == [
        *(("address", "c.d"), ("password", ""), ("floors", "none")),
    ]
    assert re.findall(r"<option selected>(\w+)", shown) == ["front"]
    assert re.findall(r'name="is_loud" (checked)?', shown) == [""]
    assert re.findall(r'value="(dance|sing)"\s+(checked)?', shown) == [("dance", ""), ("sing", "checked")]
    assert "Type it again" in shown
    assert acme.ploy.registry.integration(own).integration.settings["address"] == "a.b"
    emptied = visitor.fill(step, **{**good, "address": ""}).text
    assert 'name="address" value=""' in emptied


def test_lists_are_searched_sorted_and_paged(visitor: Visitor, acme: Customer) -> None:
    acme.sync(USERS, *accounts(60), account("x", display_name="Ärger", emails=[{"address": "boss@x.example"}]))
    browser = acme.ploy.view(acme.id)

    def ids(**how: Any) -> tuple[list[str], int]:
        listing = browser.list_records("account", Search(**how))
        return [row.id for row in listing.rows], listing.total

    assert ids(text="ärger") == ids(text="BOSS@") == (["x"], 1)
    assert ids(limit=2, offset=2) == (["u002", "u003"], 61)
    assert ids(limit=2, is_descending=True) == (["x", "u059"], 61)
    assert ids(text="%") == ([], 0)
    pages = [visitor.get(at(acme, f"/accounts?offset={offset}")).text for offset in (0, 50)]
    assert ["1 to 50 of 61" in pages[0], "51 to 61 of 61" in pages[1]] == [True, True]
    assert visitor.get(at(acme, "/accounts?sort=;drop")).status_code == 200


@pytest.mark.parametrize("offset", [-1, 10**9 + 1, 2**63, 10**30])
def test_any_list_offset_is_accepted(visitor: Visitor, acme: Customer, offset: int) -> None:
    group = {"id": "g1", "kind": "group", "name": "Readers", "grantable": True}
    acme.sync(USERS, account("u1"), wire.RecordLine(type="entitlement", id="g1", scopes=("users",), record=group))
    sync = acme.ploy.view(acme.id).syncs()[0].id
    paths = ["/account?id=u1&", "/entitlement?id=g1&"]
    paths += ["/accounts?", "/entitlements?", "/syncs?", "/tasks?", "/grant?account=u1&", "/unproven?"]
    paths.append(f"/syncs/{sync}/changes?kind=added&only=account&")

    answers = [visitor.get(at(acme, f"{path}offset={offset}")).status_code for path in paths]

    assert answers == [200] * len(paths)


def test_unknown_page_is_not_found_and_an_internal_error_is_plain(
    visitor: Visitor, acme: Customer, caplog: pytest.LogCaptureFixture
) -> None:
    assert [visitor.get(at(acme, path)).status_code for path in ("/nope", "/nope/x", "/Accounts")] == [404] * 3
    broken = acme.ploy.registry.create_integration(acme.organisation_id, "aws").id
    file = acme.ploy._state_dir / "integrations" / f"{broken}.sqlite"
    file.write_bytes(b"no database " * 1000)

    answer = visitor.get(f"/app/integrations/{broken}/syncs")
    file.unlink()  # the login of the next test may lead to this organisation

    assert (answer.status_code, "Internal error" in answer.text) == (500, True)
    assert "content-security-policy" in answer.headers
    assert "Traceback" not in answer.text
    assert visitor.get(at(acme)).status_code == 200
    assert "file is not a database" in caplog.text


def test_manual_task_is_resolved_with_a_note_or_ordered_again(visitor: Visitor, acme: Customer) -> None:
    worker = Worker(acme)
    for _ in range(2):
        worker.order("grant")
        (task,) = worker.lease()
        acme.client.fail_task(acme.id, task.id, failed_of(task))
    one, other = acme.ploy.queue(acme.id).manual()
    assert "The role may not write." in visitor.get(at(acme, "/tasks")).text
    assert visitor.fill(at(acme, f"/tasks/{one.id}/resolve"), name="Ada", reason=" ").status_code == 422
    visitor.fill(at(acme, f"/tasks/{one.id}/resolve"), name="Ada", reason="by hand")
    visitor.fill(at(acme, f"/tasks/{other.id}/order-again"), **DECIDER)

    assert acme.ploy.queue(acme.id).manual() == []
    assert worker.history(one)[-1] == ("resolved", "by hand")
    assert [task.state for task in acme.ploy.queue(acme.id).tasks()] == ["manual", "manual", "queued"]


def test_only_an_answered_preview_can_be_ordered(visitor: Visitor, acme: Customer) -> None:
    worker = Worker(acme)
    seen = visitor.fill(at(acme, "/preview"), kind="revoke", account="u1", entitlement="g1").headers["location"]
    assert visitor.fill(seen, **DECIDER).status_code == 409
    (task,) = worker.lease()
    worker.complete(task)
    assert visitor.fill(seen, reason="left").status_code == 422  # without a name
    ordered = visitor.fill(seen, name="Ada", reason="left").headers["location"]

    again = acme.ploy.queue(acme.id).task(ordered.split("/")[-1])
    assert (again.kind, again.preview, again.account_id, again.entitlement_id, again.reason, again.requested_by) == (
        *("revoke", False, "u1", "g1", "left", "Ada"),
    )
    (task,) = worker.lease()
    worker.complete(task)
    assert visitor.fill(ordered, **DECIDER).status_code == 409
