"""The contract as an OpenAPI 3.1 document, generated from the table of calls and the wire models.

``python -m ploy_connector_aws.platform.openapi > docs/platform-api.yaml`` generates it again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from ploy_connector_aws.spec import Manifest
from ploy_connector_aws.spec.bounds import LONGEST_PAUSE_SECONDS, Count, OutsideId
from ploy_connector_aws.spec.records import RECORD_MODELS

from . import wire
from .commit_rules import COMMIT_RULES

NOTICE = "This contract is ours, not Ploy's: Ploy publishes no HTTP API."

_DESCRIPTION = f"""{NOTICE} The connector
runtime and the local Ploy of this project use it behind one adapter, so that the real API can replace it.

All connections go from the runtime to the platform. Every call is idempotent: the runtime repeats it if the answer was
lost. A token reaches the integrations of its own organisation only; others are unknown (404).

A sync uploads one run: the runtime opens it, stages batches that are not visible yet, and makes all of it visible with
one commit. Records that are not proven to be gone are kept. A commit is held for review when the runtime asks for it,
or when the platform's comparison requires it; it stays held until a person approves or rejects it, or until a newer
sync of the integration is committed and replaces it.

{COMMIT_RULES}"""


class Call(NamedTuple):
    """One call of the contract."""

    name: str
    method: str
    path: str
    summary: str
    answers: dict[int, tuple[type[BaseModel], str]]
    refusals: tuple[str, ...]
    sends: type[BaseModel] | None = None
    query: Mapping[str, str] = MappingProxyType({})
    """The descriptions of its optional counts in the query, by name."""


_ANY = ("token_rejected", "unavailable")
_ONE = (*_ANY, "integration_unknown")
_BODY = ("body_invalid", "body_too_large")
_COMMIT = (
    *("batches_differ", "counts_differ", "scopes_unannounced", "outcome_differs"),
    *("commit_conflict", "stale_reading"),
)
_SYNC = "/integrations/{integration_id}/syncs/{sync_id}"
_TASK = "/integrations/{integration_id}/tasks/{task_id}"
_REPORT = (*_ONE, *_BODY, "task_unknown", "lease_lost")

CALLS = (
    Call(
        name="integrations",
        method="GET",
        path="/integrations",
        summary="Read the integrations of this token, with their settings, which contain secrets.",
        answers={200: (wire.Integrations, "The enabled integrations.")},
        refusals=_ANY,
    ),
    Call(
        name="create_integration",
        method="POST",
        path="/integrations",
        summary="Begin the set-up of an integration of a connector whose manifest the platform has. The platform"
        " generates the values that the wizard leaves to the host, such as an external ID. The token does not serve"
        " the integration until its settings are complete.",
        sends=wire.IntegrationRequest,
        answers={200: (wire.SetUpStatus, "The set-up has begun.")},
        refusals=(*_ANY, *_BODY, "connector_unknown"),
    ),
    Call(
        name="change_settings",
        method="PATCH",
        path="/integrations/{integration_id}",
        summary="Store settings that a person entered in a set-up. Once all required settings are stored and have not"
        " passed a connection test, the platform requests one: a check task, unless one waits already. A request"
        " without settings only requests the test.",
        sends=wire.SettingsChange,
        answers={200: (wire.SetUpStatus, "They are stored.")},
        refusals=(*_ONE, *_BODY, "settings_in_use"),
    ),
    Call(
        name="hello",
        method="POST",
        path="/integrations/{integration_id}/hello",
        summary="Register the runtime; read limits, intervals and flags.",
        sends=wire.HelloRequest,
        answers={200: (wire.HelloAnswer, "Limits, intervals and flags.")},
        refusals=(*_ONE, *_BODY, "set_up_unfinished"),
    ),
    Call(
        name="put_manifest",
        method="PUT",
        path="/connectors/{name}",
        summary="Send the manifest of an installed connector, so that it can be set up. It is stored for the"
        " organisation of the token only; the newest one counts. The name is the manifest's.",
        sends=Manifest,
        answers={200: (wire.ManifestAccepted, "It is stored.")},
        refusals=(*_ANY, *_BODY),
    ),
    Call(
        name="report_refused",
        method="PUT",
        path="/connectors",
        summary="Report the installed connectors that this runtime cannot use, with the reasons. The report is stored"
        " for the organisation of the token only; the newest one counts.",
        sends=wire.RefusedConnectors,
        answers={200: (wire.RefusedKept, "It is stored.")},
        refusals=(*_ANY, *_BODY),
    ),
    Call(
        name="report_check",
        method="POST",
        path="/integrations/{integration_id}/checks",
        summary="Report the progress or the result of a connection test. A report older than the last one is ignored;"
        " after the final report only the same one is accepted. A failed blocking check suspends the integration until"
        " a test that a task requested has passed.",
        sends=wire.CheckProgress,
        answers={200: (wire.CheckStatus, "The latest report that has arrived.")},
        refusals=(*_ONE, *_BODY, "task_unknown", "check_conflict"),
    ),
    Call(
        name="open_sync",
        method="POST",
        path="/integrations/{integration_id}/syncs",
        summary="Open a staging area. One opener holds it at a time, under a lease that every batch renews. The same"
        " run gets the same sync; another run of the same opener replaces it; another opener waits for the end of the"
        " lease. A run without anything to stage can be committed in the same request.",
        sends=wire.OpenSync,
        answers={200: (wire.OpenedSync, "It is open, or committed.")},
        refusals=(*_ONE, *_BODY, "set_up_unfinished", "sync_taken", "clock_ahead", "base_stale", *_COMMIT),
    ),
    Call(
        name="put_batch",
        method="PUT",
        path=_SYNC + "/batches/{number}",
        summary="Stage a batch. The same number with the same digest again changes nothing.",
        answers={200: (wire.BatchAnswer, "All of its lines are staged.")},
        refusals=(
            *(*_ONE, *_BODY, "body_unreadable", "digest_mismatch", "not_gzip_ndjson", "lines_rejected"),
            *("sync_unknown", "sync_gone", "batch_conflict"),
        ),
    ),
    Call(
        name="sync_status",
        method="GET",
        path=_SYNC,
        summary="Read the state of a sync, the batches that have arrived, and the answer of the commit.",
        answers={200: (wire.SyncStatus, "The current state.")},
        refusals=(*_ONE, "sync_unknown"),
    ),
    Call(
        name="commit",
        method="POST",
        path=_SYNC + "/commit",
        summary="Make everything that was staged visible at once, or hold it for review. A repeated request gets the"
        " first answer, and the decision once there is one. An earlier held commit is replaced.",
        sends=wire.Commit,
        answers={
            200: (wire.CommitAnswer, "It is visible."),
            202: (wire.CommitAnswer, "It is held for review; the visible generation stays."),
        },
        refusals=(*_ONE, *_BODY, "set_up_unfinished", "sync_unknown", "sync_gone", "base_stale", *_COMMIT),
    ),
    Call(
        name="abort",
        method="POST",
        path=_SYNC + "/abort",
        summary="Discard what is staged for an open sync. A committed or held one stays as it is.",
        answers={200: (wire.SyncStatus, "The current state.")},
        refusals=(*_ONE, "sync_unknown"),
    ),
    Call(
        name="findings",
        method="GET",
        path="/integrations/{integration_id}/findings",
        summary="Read the findings of the visible generation and of earlier ones, with their states, page by page until"
        " a page is empty: the connector's, which are records, and those of the platform's own rules. The platform"
        " keeps their states: a finding is resolved once it is proven gone, and accepted by a person with a reason.",
        answers={200: (wire.Findings, "One page of the findings, in the order in which they were first seen.")},
        refusals=(*_ONE, "body_invalid"),
        query={"after": "The next_after of the page before; left out for the first page."},
    ),
    Call(
        name="lease_tasks",
        method="POST",
        path="/integrations/{integration_id}/tasks/lease",
        summary="Lease tasks by a long poll. The same request_id gets the same tasks again if their leases still hold."
        " A paused integration gets no tasks; a read-only one gets no grants and revokes except previews. Until its"
        " settings have passed a connection test, an integration gets checks only.",
        sends=wire.LeaseRequest,
        answers={200: (wire.LeaseAnswer, "The tasks; none when the wait is over or the flags have changed.")},
        refusals=(*_ONE, *_BODY),
    ),
    Call(
        name="extend_lease",
        method="POST",
        path=_TASK + "/extend",
        summary="Extend the lease of a task. An expired lease can be extended until another worker gets the task.",
        sends=wire.LeaseExtension,
        answers={200: (wire.LeaseExtended, "The lease is extended.")},
        refusals=_REPORT,
    ),
    Call(
        name="complete_task",
        method="POST",
        path=_TASK + "/complete",
        summary="Report a task as done. Its change is visible at once, and takes precedence over every scope whose"
        " reading began before the change was verified. Repeating the same body changes nothing. The report is accepted"
        " after the lease has expired if no other worker got the task, and after the platform made a manual task of it"
        " at its deadline, until a person has resolved that.",
        sends=wire.TaskDone,
        answers={200: (wire.TaskStatus, "It is done.")},
        refusals=(*_REPORT, "task_conflict", "clock_ahead"),
    ),
    Call(
        name="fail_task",
        method="POST",
        path=_TASK + "/fail",
        summary="Report a task as failed: it becomes a manual task for a person. Otherwise as complete_task.",
        sends=wire.TaskFailed,
        answers={200: (wire.TaskStatus, "It is a manual task.")},
        refusals=(*_REPORT, "task_conflict"),
    ),
    Call(
        name="report_change",
        method="POST",
        path="/integrations/{integration_id}/changes",
        summary="Report a grant or a revoke that an operator made without a task, e.g. by the command line. It is"
        " accepted whatever the flags and the state of the integration: it has happened. Its change is visible at once,"
        " as that of a task; one that could not be confirmed becomes a manual task. Repeating the same body changes"
        " nothing.",
        sends=wire.ChangeReport,
        answers={200: (wire.ChangeRecorded, "It is on record.")},
        refusals=(*_ONE, *_BODY, "change_conflict", "clock_ahead"),
    ),
)
"""Every call. The local Ploy has exactly these routes."""

_LINES = (wire.RecordLine, wire.TombstoneLine, wire.ScopeLine)
_TEXT = {"type": "string"}
_PAUSE = f"Seconds, or a date; a runtime waits at most {LONGEST_PAUSE_SECONDS} seconds."
_ID = TypeAdapter(OutsideId).json_schema()
_COUNT = TypeAdapter(Count).json_schema()
_PARAMETERS = {
    "number": TypeAdapter(wire.BatchNumber).json_schema(),
    **dict.fromkeys(("integration_id", "sync_id", "task_id"), _ID),
}


class _Dumper(yaml.SafeDumper):
    """A dumper for people: paragraphs as literal blocks, and no aliases."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


class _Schemas(GenerateJsonSchema):
    """JSON schemas without titles that repeat the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def to_openapi() -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(wire.API_PREFIX + call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Connector API", "version": "1", "description": _DESCRIPTION},
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def render_yaml() -> str:
    """Return the document as YAML, as it is checked in."""
    return f"# {NOTICE}\n" + yaml.dump(to_openapi(), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def _operation(call: Call) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": call.name, "summary": call.summary}
    if names := re.findall(r"{(\w+)}", call.path):
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": _PARAMETERS.get(name, _TEXT)} for name in names
        ]
    if call.query:
        operation["parameters"] += [
            {"name": name, "in": "query", "description": text, "schema": _COUNT} for name, text in call.query.items()
        ]
    if call.name == "put_batch":
        operation["parameters"] += [
            _header("Content-Encoding", "Always gzip.", {"const": "gzip"}),
            _header("Content-Digest", "RFC 9530, sha-256, over the body as sent, after compression.", _TEXT),
        ]
        lines = {"oneOf": [_reference(line) for line in _LINES]}
        operation["requestBody"] = {
            "required": True,
            "description": "One JSON object per line. One invalid line rejects the whole batch.",
            "content": {wire.NDJSON: {"schema": _TEXT, "x-ploy-line-schema": lines}},
        }
    elif call.sends is not None:
        operation["requestBody"] = {"required": True, "content": _content("application/json", call.sends)}
    operation["responses"] = {
        str(status): {"description": text, "content": _content("application/json", model)}
        for status, (model, text) in call.answers.items()
    } | {str(status): _rejections(codes) for status, codes in _by_status(call.refusals)}
    return operation


def _by_status(codes: tuple[str, ...]) -> list[tuple[int, list[str]]]:
    def status(code: str) -> int:
        return wire.PROBLEMS[code].status

    return [(number, list(group)) for number, group in groupby(sorted(codes, key=status), key=status)]


def _rejections(codes: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": " ".join(f"`{code}`: {wire.PROBLEMS[code].title}" for code in codes),
        "content": _content(wire.PROBLEM_JSON, wire.Problem),
    }
    if {"sync_taken", "unavailable"} & set(codes):
        answer["headers"] = {"Retry-After": {"schema": _TEXT, "description": _PAUSE}}
    return answer


def _schemas() -> dict[str, Any]:
    sent = [call.sends for call in CALLS if call.sends] + [*_LINES, *RECORD_MODELS.values()]
    answered = [model for call in CALLS for model, _ in call.answers.values()] + [wire.Problem]
    _, document = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(sent + answered)],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Schemas,
    )
    schemas: dict[str, Any] = document["$defs"]
    schemas["RecordLine"]["properties"]["record"] = {
        "description": "The record, by the model that 'type' names. In a delta, left out if it is as in the base.",
        "oneOf": [_reference(model) for model in RECORD_MODELS.values()],
    }
    schemas["Problem"]["properties"]["code"]["examples"] = list(wire.PROBLEMS)
    return dict(sorted(schemas.items()))


def _header(name: str, description: str, schema: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": True, "description": description, "schema": schema}


def _content(media_type: str, model: type[BaseModel]) -> dict[str, Any]:
    return {media_type: {"schema": _reference(model)}}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


if __name__ == "__main__":
    sys.stdout.write(render_yaml())
