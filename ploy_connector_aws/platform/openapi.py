"""The contract as an OpenAPI 3.1 document, made from the table of calls and the wire models.

``python -m ploy_connector_aws.platform.openapi > docs/platform-api.yaml`` writes it anew.
"""

from __future__ import annotations

import re
import sys
from itertools import groupby
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from ploy_connector_aws.spec import Manifest
from ploy_connector_aws.spec.bounds import LONGEST_PAUSE_SECONDS, OutsideId
from ploy_connector_aws.spec.records import RECORD_MODELS

from . import wire
from .commit_rules import COMMIT_RULES

NOTICE = "This contract is ours, not Ploy's: Ploy publishes no HTTP API."

_DESCRIPTION = f"""{NOTICE} It is what a connector runtime
and the local Ploy of this project speak, and it lives behind one adapter, so that the real one can take its place.

All connections go from the runtime to the platform. Every call can be made again without harm: a lost answer is asked
for again. A token reaches its own organisation's integrations only; another's is unknown (404).

A sync hands over one run: it is opened, its batches are staged where nobody sees them, and one commit makes all of
it visible at once. What is not proven to be gone is kept. A commit is held for a person when the runtime asks for it,
or when the platform's own comparison says so; it stays held until it is approved or rejected, or until a newer sync
of the integration is committed, which replaces it.

{COMMIT_RULES}"""


class Call(NamedTuple):
    """One call of the contract."""

    name: str
    method: str
    path: str
    summary: str
    sends: type[BaseModel] | None
    answers: dict[int, tuple[type[BaseModel], str]]
    refusals: tuple[str, ...]


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
        summary="Read the integrations that this token serves, with their settings, which hold secrets.",
        sends=None,
        answers={200: (wire.Integrations, "Those that are enabled now.")},
        refusals=_ANY,
    ),
    Call(
        name="create_integration",
        method="POST",
        path="/integrations",
        summary="Begin to set up an integration of a connector whose manifest the platform has. What the wizard leaves"
        " to the host, such as an external ID, is generated now. It is not among those that the token serves until its"
        " settings are complete.",
        sends=wire.IntegrationRequest,
        answers={200: (wire.SetUpStatus, "It is begun.")},
        refusals=(*_ANY, *_BODY, "connector_unknown"),
    ),
    Call(
        name="change_settings",
        method="PATCH",
        path="/integrations/{integration_id}",
        summary="Keep settings that a person entered in a set-up. Once all that are required are there and have not"
        " passed a connection test, the platform asks for one: a check task, unless one waits already. Without any"
        " settings it only asks for the test.",
        sends=wire.SettingsChange,
        answers={200: (wire.SetUpStatus, "They are kept.")},
        refusals=(*_ONE, *_BODY, "settings_in_use"),
    ),
    Call(
        name="hello",
        method="POST",
        path="/integrations/{integration_id}/hello",
        summary="Introduce the runtime; learn limits, intervals and flags.",
        sends=wire.HelloRequest,
        answers={200: (wire.HelloAnswer, "What is allowed and expected.")},
        refusals=(*_ONE, *_BODY, "set_up_unfinished"),
    ),
    Call(
        name="put_manifest",
        method="PUT",
        path="/connectors/{name}",
        summary="Say which connector this runtime has, so that it can be set up. It is kept for the organisation of the"
        " token only; the newest that was sent counts. The name is the manifest's.",
        sends=Manifest,
        answers={200: (wire.ManifestAccepted, "It is kept.")},
        refusals=(*_ANY, *_BODY),
    ),
    Call(
        name="report_refused",
        method="PUT",
        path="/connectors",
        summary="Report which installed connectors this runtime cannot use, and why. It is kept for the organisation of"
        " the token only; the newest report counts.",
        sends=wire.RefusedConnectors,
        answers={200: (wire.RefusedKept, "It is kept.")},
        refusals=(*_ANY, *_BODY),
    ),
    Call(
        name="report_check",
        method="POST",
        path="/integrations/{integration_id}/checks",
        summary="Report how a connection test goes, also while it grows. What was overtaken by a later one is passed"
        " over; after the final one only the same is taken. A blocking check that failed ends the use of the"
        " integration until a test that a task asked for is passed.",
        sends=wire.CheckProgress,
        answers={200: (wire.CheckStatus, "The latest that has arrived.")},
        refusals=(*_ONE, *_BODY, "task_unknown", "check_conflict"),
    ),
    Call(
        name="open_sync",
        method="POST",
        path="/integrations/{integration_id}/syncs",
        summary="Open a staging area. One opener has it at a time, under a lease that every batch renews. The same run"
        " gets the same sync; another run of the same opener replaces it; another opener waits for the lease's end."
        " A run that has nothing to stage can be committed in the same request.",
        sends=wire.OpenSync,
        answers={200: (wire.OpenedSync, "It is open, or committed.")},
        refusals=(*_ONE, *_BODY, "set_up_unfinished", "sync_taken", "clock_ahead", "base_stale", *_COMMIT),
    ),
    Call(
        name="put_batch",
        method="PUT",
        path=_SYNC + "/batches/{number}",
        summary="Stage a batch. The same number with the same digest again changes nothing.",
        sends=None,
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
        summary="Read where a sync stands, which batches have arrived, and what the commit answered.",
        sends=None,
        answers={200: (wire.SyncStatus, "As it is now.")},
        refusals=(*_ONE, "sync_unknown"),
    ),
    Call(
        name="commit",
        method="POST",
        path=_SYNC + "/commit",
        summary="Make everything that was staged visible at once, or have it held for a person. A replay gets the"
        " first answer, and the decision once there is one. A held commit from before is replaced.",
        sends=wire.Commit,
        answers={
            200: (wire.CommitAnswer, "It is visible."),
            202: (wire.CommitAnswer, "It is held for a person; what was visible stays."),
        },
        refusals=(*_ONE, *_BODY, "set_up_unfinished", "sync_unknown", "sync_gone", "base_stale", *_COMMIT),
    ),
    Call(
        name="abort",
        method="POST",
        path=_SYNC + "/abort",
        summary="Drop what is staged for an open sync. One that was committed or held stays as it is.",
        sends=None,
        answers={200: (wire.SyncStatus, "As it is now.")},
        refusals=(*_ONE, "sync_unknown"),
    ),
    Call(
        name="lease_tasks",
        method="POST",
        path="/integrations/{integration_id}/tasks/lease",
        summary="Ask for tasks, each under a lease; waits for one when there is none. The same request_id gets the same"
        " tasks again, as far as they are still under those leases. While an integration is paused no task is given"
        " out, while it is read-only no grant or revoke but previews. Until its settings have passed a connection"
        " test, only checks are given out.",
        sends=wire.LeaseRequest,
        answers={200: (wire.LeaseAnswer, "The tasks; none when the wait is over, or the flags have changed.")},
        refusals=(*_ONE, *_BODY),
    ),
    Call(
        name="extend_lease",
        method="POST",
        path=_TASK + "/extend",
        summary="Keep a task while working on it. A lease that has run out can be extended while nobody else got the"
        " task.",
        sends=wire.LeaseExtension,
        answers={200: (wire.LeaseExtended, "It goes on.")},
        refusals=_REPORT,
    ),
    Call(
        name="complete_task",
        method="POST",
        path=_TASK + "/complete",
        summary="Report that a task was done. What it changed is visible at once, and goes before every scope whose"
        " reading began before it was verified. Sent again with the same body it changes nothing. It is taken after the"
        " lease has run out, too, while nobody else got the task; also when the platform has made a manual task of it"
        " at its deadline, until a person is done with that.",
        sends=wire.TaskDone,
        answers={200: (wire.TaskStatus, "It is done.")},
        refusals=(*_REPORT, "task_conflict", "clock_ahead"),
    ),
    Call(
        name="fail_task",
        method="POST",
        path=_TASK + "/fail",
        summary="Report that a task will not be done: it becomes a manual task, which a person must look at. Otherwise"
        " as complete_task.",
        sends=wire.TaskFailed,
        answers={200: (wire.TaskStatus, "It is a manual task.")},
        refusals=(*_REPORT, "task_conflict"),
    ),
)
"""Every call. The local Ploy has exactly these routes."""

_LINES = (wire.RecordLine, wire.TombstoneLine, wire.ScopeLine)
_TEXT = {"type": "string"}
_PAUSE = f"Seconds, or a date; a runtime waits for {LONGEST_PAUSE_SECONDS} seconds at the most."
_ID = TypeAdapter(OutsideId).json_schema()
_PARAMETERS = {
    "number": TypeAdapter(wire.BatchNumber).json_schema(),
    **dict.fromkeys(("integration_id", "sync_id", "task_id"), _ID),
}


class _Dumper(yaml.SafeDumper):
    """Writes for people: paragraphs as paragraphs, and what is said twice twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


_Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None),
)


class _Schemas(GenerateJsonSchema):
    """JSON schemas without titles that only repeat the fields' names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def to_openapi() -> dict[str, Any]:
    """Make the document."""
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
    """Write the document as it is checked in."""
    return f"# {NOTICE}\n" + yaml.dump(to_openapi(), Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def _operation(call: Call) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": call.name, "summary": call.summary}
    if names := re.findall(r"{(\w+)}", call.path):
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": _PARAMETERS.get(name, _TEXT)} for name in names
        ]
    if call.name == "put_batch":
        operation["parameters"] += [
            _header("Content-Encoding", "Always gzip.", {"const": "gzip"}),
            _header("Content-Digest", "RFC 9530, sha-256, over the body as it is sent: after compression.", _TEXT),
        ]
        lines = {"oneOf": [_reference(line) for line in _LINES]}
        operation["requestBody"] = {
            "required": True,
            "description": "One JSON object per line. The batch is refused whole when one line is wrong.",
            "content": {wire.NDJSON: {"schema": _TEXT, "x-line-schema": lines}},
        }
    elif call.sends is not None:
        operation["requestBody"] = {"required": True, "content": _content("application/json", call.sends)}
    operation["responses"] = {
        str(status): {"description": text, "content": _content("application/json", model)}
        for status, (model, text) in call.answers.items()
    } | {str(status): _refusal(codes) for status, codes in _by_status(call.refusals)}
    return operation


def _by_status(codes: tuple[str, ...]) -> list[tuple[int, list[str]]]:
    def status(code: str) -> int:
        return wire.PROBLEMS[code].status

    return [(number, list(group)) for number, group in groupby(sorted(codes, key=status), key=status)]


def _refusal(codes: list[str]) -> dict[str, Any]:
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
        "description": "The record, of the model that 'type' names. In a delta left out where it is as in the base.",
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
