"""The integrations that a set of configuration files names."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx

from ploy_connector_aws import __version__
from ploy_connector_aws.platform.errors import PlatformUnavailableError
from ploy_connector_aws.runtime.integration import read_config
from ploy_connector_aws.runtime.service.sources import (
    DesiredIntegration,
    Source,
    organisation_of,
    refuse_shared_variables,
    to_sources,
)
from ploy_connector_aws.runtime.settings import OperatorSettings, read_settings
from ploy_connector_aws.spec import ConfigurationError
from tests.host.packages import GOOD, write_distribution

API = "https://ploy.example/connector/v1/integrations"
MANIFEST = "https://ploy.example/connector/v1/connectors/aws"


@pytest.fixture
def introduced() -> Iterator[respx.Route]:
    """Ploy, which takes a manifest, and the report of what was refused."""
    with respx.mock:
        known = {"name": "aws", "version": "1"}
        respx.put(MANIFEST.rpartition("/")[0]).mock(return_value=httpx.Response(200, json={"count": 0}))
        yield respx.put(MANIFEST).mock(return_value=httpx.Response(200, json=known))


def settings(token: str = "t-acme", *, id: str | None = None, config: dict[str, Any] | None = None) -> OperatorSettings:
    tables: dict[str, Any] = {"platform": {"url": "https://ploy.example", "token": token}}
    if id is not None:
        tables["integration"] = {"id": id}
    return OperatorSettings.model_validate({**tables, "config": config})


def integration(id: str, **settings: Any) -> dict[str, Any]:
    return {"id": id, "organisation": "org", "connector": "aws", "settings": settings}


def wanted_by(source: Source) -> dict[str, tuple[str, Any]]:
    return {each.id: (each.settings.integration.connector, each.settings.config) for each in source.read().integrations}


@pytest.mark.usefixtures("introduced")
def test_an_external_id_from_the_environment_is_rejected() -> None:
    answer = {"integrations": [integration("int-1", external_id="made-by-ploy-0001")]}
    respx.get(API).mock(return_value=httpx.Response(200, json=answer))
    (source,) = to_sources([settings().model_copy(update={"config_overrides": {"external_id": "chosen-0001"}})])
    found = source.read()
    assert (found.integrations, list(found.unusable)) == ((), ["int-1"])
    assert "is generated for each integration" in str(found.unusable["int-1"])
    (source,) = to_sources([settings().model_copy(update={"config_overrides": {"region": "eu-west-1"}})])
    assert [each.id for each in source.read().integrations] == ["int-1"]


def test_a_file_with_settings_is_one_integration_without_a_call() -> None:
    (source,) = to_sources([settings(id="int-1", config={"region": "eu-west-1"})])
    assert wanted_by(source) == {"int-1": ("aws", {"region": "eu-west-1"})}


@pytest.mark.usefixtures("introduced")
def test_a_file_with_a_token_alone_is_all_that_ploy_has_enabled_for_it() -> None:
    answer = {"integrations": [integration("int-1", region="a"), integration("int-2", region="b")]}
    asked = respx.get(API).mock(return_value=httpx.Response(200, json=answer))
    counted: list[tuple[str, str]] = []
    (source,) = to_sources([settings()], lambda call, status: counted.append((call, status)))
    assert wanted_by(source) == {
        "int-1": ("aws", {"region": "a"}),
        "int-2": ("aws", {"region": "b"}),
    }
    assert (asked.calls.last.request.headers["authorization"], counted) == (
        "Bearer t-acme",
        [("integrations", "200"), ("put_manifest", "200"), ("report_refused", "200")],
    )


@pytest.mark.usefixtures("introduced")
def test_the_revision_of_the_settings_comes_with_them() -> None:
    answer = {"integrations": [{**integration("int-1"), "revision": 4}, integration("int-2")]}
    respx.get(API).mock(return_value=httpx.Response(200, json=answer))
    (source,) = to_sources([settings()])
    assert [each.revision for each in source.read().integrations] == [4, None]


@pytest.mark.usefixtures("introduced")
def test_a_file_with_an_id_is_that_integration_while_it_is_enabled() -> None:
    answers = [[integration("int-1"), integration("int-2")], [integration("int-1")]]
    respx.get(API).mock(side_effect=[httpx.Response(200, json={"integrations": each}) for each in answers])
    (source,) = to_sources([settings(id="int-2")])
    assert [set(wanted_by(source)) for _ in answers] == [{"int-2"}, set()]


@pytest.mark.usefixtures("introduced")
def test_a_poll_is_not_retried_and_an_id_unfit_for_a_file_name_is_rejected() -> None:
    answers = [
        httpx.Response(503, headers={"retry-after": "1"}),
        httpx.Response(200, json={"integrations": [integration("../../etc/cron"), integration("int-1")]}),
    ]
    asked = respx.get(API).mock(side_effect=answers)
    (source,) = to_sources([settings()])
    with pytest.raises(PlatformUnavailableError):
        source.read()
    answer = source.read()
    assert (asked.call_count, [each.id for each in answer.integrations]) == (2, ["int-1"])
    assert {name: str(error) for name, error in answer.unusable.items()} == {
        "#1": "Ploy names an integration by no usable id."
    }


@pytest.mark.parametrize(
    "configurations",
    [
        pytest.param([settings(id="int-1", config={}), settings("t-b", id="int-1")], id="one id in two files"),
        pytest.param([settings(config={}), settings("t-b", config={})], id="no id in two files with settings"),
        pytest.param([settings(), settings("t-b"), settings()], id="all of one token twice"),
        pytest.param([settings(), settings(id="int-1")], id="all of a token, and one of them"),
        pytest.param([settings(id="int-1"), settings()], id="one of a token, and all of them"),
    ],
)
def test_files_that_name_the_same_integration_are_rejected(configurations: list[OperatorSettings]) -> None:
    with pytest.raises(ConfigurationError, match="name the same integration"):
        to_sources(configurations)


def test_connector_in_a_file_is_that_of_its_integrations_and_its_manifest_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "source_of_staff.py").write_text(GOOD.format(name="staff"))
    connector = f"{tmp_path / 'source_of_staff.py'}:Made"
    given = OperatorSettings.model_validate(
        {"platform": {"url": "https://ploy.example", "token": "t"}, "integration": {"connector": connector}}
    )
    found = [integration("int-1"), {**integration("int-2"), "connector": "staff"}]
    with respx.mock:
        sent = respx.put(url__startswith=MANIFEST.rpartition("/")[0]).mock(
            side_effect=lambda request: httpx.Response(200, json={"name": "x", "version": "1", "count": 0})
        )
        respx.get(API).mock(return_value=httpx.Response(200, json={"integrations": found}))
        (source,) = to_sources([given])
        assert wanted_by(source) == {"int-1": ("aws", {}), "int-2": (connector, {})}
        assert [each.connector for each in source.read().integrations] == ["aws", "staff"]
        assert [str(call.request.url).rpartition("/")[2] for call in sent.calls] == ["aws", "staff", "connectors"]
    only = given.model_copy(update={"integration": given.integration.model_copy(update={"id": "int-1"})})
    with respx.mock:
        respx.put(url__startswith=MANIFEST.rpartition("/")[0]).mock(return_value=httpx.Response(503))
        respx.get(API).mock(return_value=httpx.Response(200, json={"integrations": found}))
        (source,) = to_sources([only])
        assert [str(error) for error in source.read().unusable.values()] == [
            "The integration int-1 has the connector 'aws' in Ploy, not 'staff'."
        ]
    del sys.modules["source_of_staff"]


@pytest.mark.usefixtures("introduced")
def test_broken_connector_stops_only_its_own_integrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    write_distribution(tmp_path, "broken", "class Made: ...", "[ploy_connector]\nbroken = broken:Made\n")
    found = [{**integration("int-1"), "connector": "broken"}, integration("int-2")]
    respx.get(API).mock(return_value=httpx.Response(200, json={"integrations": found}))
    (source,) = to_sources([settings().model_copy(update={"config_overrides": {"region": "eu-west-1"}})])
    answer = source.read()
    assert [each.id for each in answer.integrations] == ["int-2"]
    assert {name: error.code for name, error in answer.unusable.items()} == {"int-1": "connector_refused"}


@pytest.mark.usefixtures("introduced")
def test_file_that_ploy_names_as_a_connector_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("raise AssertionError\n")
    named = {**integration("int-1"), "connector": f"{tmp_path / 'planted.py'}:Made"}
    respx.get(API).mock(return_value=httpx.Response(200, json={"integrations": [named]}))
    reason = "Ploy names no usable connector for the integration int-1."
    (source,) = to_sources([settings()])
    assert {name: str(error) for name, error in source.read().unusable.items()} == {"int-1": reason}
    with pytest.raises(ConfigurationError, match=reason):
        read_config(settings(id="int-1"))


def test_files_of_several_organisations_and_integrations_run_together() -> None:
    sources = to_sources([settings(), settings("t-b", id="int-1"), settings("t-b", id="int-2", config={})])
    assert [source.name for source in sources] == ["source-1", "source-2", "source-3"]


def test_a_file_whose_token_cannot_be_one_is_refused_at_once() -> None:
    for wrong in (settings("a token", config={}), settings("a token"), OperatorSettings(config={})):
        with pytest.raises(ConfigurationError, match="token"):
            to_sources([wrong])


def test_integrations_of_one_token_are_one_organisations_and_of_no_other(tmp_path: Path) -> None:
    def of_file(place: str) -> str:
        path = tmp_path / "ploy.toml"
        path.write_text(f'[platform]\nurl = "https://ploy.example/"\ntoken_file = "{place}"\n')
        return organisation_of(read_settings(path, {}))

    (tmp_path / "inner").mkdir()
    same = of_file(f"{tmp_path}/token"), of_file(f"{tmp_path}/inner/../token")
    terms = [organisation_of(settings()), organisation_of(settings("t-b")), *same]
    assert (len(set(terms)), same[0] == same[1]) == (3, True)
    assert organisation_of(settings(id="int-1", config={})) == organisation_of(settings(id="int-2"))
    assert not any("t-acme" in term for term in terms)


def test_a_desired_integration_shows_no_secret() -> None:
    (source,) = to_sources([settings("t-do-not-show", id="int-1", config={"external_id": "x-do-not-show"})])
    desired: tuple[DesiredIntegration, ...] = source.read().integrations
    assert "do-not-show" not in repr(desired) + repr(source.read()) + desired[0].digest + desired[0].organisation


@pytest.mark.parametrize("variable", ["PLOY_TOKEN", "PLOY_TOKEN_FILE", "PLOY_INTEGRATION_ID", "PLOY_CONFIG_REGION"])
def test_a_variable_that_would_override_every_file_is_rejected(variable: str) -> None:
    refuse_shared_variables(["PATH", "PLOY_URL", "PLOY_STATE_DIR", "PLOY_CONFIG_FILE", "PLOY_AWS_RATE_FACTOR"])
    with pytest.raises(ConfigurationError, match=f"The variable {variable} would override"):
        refuse_shared_variables(["PATH", variable])


def test_installed_connectors_are_reported_once_after_retries(introduced: respx.Route) -> None:
    respx.get(API).mock(return_value=httpx.Response(200, json={"integrations": []}))
    introduced.side_effect = [httpx.Response(503), httpx.Response(200, json={"name": "aws", "version": "1"})]
    (source,) = to_sources([settings()])
    for _ in range(4):
        assert source.read().integrations == ()
    assert introduced.call_count == 2
    sent = json.loads(introduced.calls.last.request.content)
    assert (sent["name"], sent["version"]) == ("aws", __version__)


def test_a_ploy_that_rejects_manifests_stops_nothing(introduced: respx.Route) -> None:
    respx.get(API).mock(return_value=httpx.Response(200, json={"integrations": [integration("int-1")]}))
    introduced.side_effect = None
    introduced.return_value = httpx.Response(404)
    (source,) = to_sources([settings()])
    assert [[each.id for each in source.read().integrations] for _ in range(2)] == [["int-1"], ["int-1"]]
    assert introduced.call_count == 1
