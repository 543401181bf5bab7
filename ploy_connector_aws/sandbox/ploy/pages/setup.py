"""Set-up of an integration, step by step, as its connector's manifest describes it; it ends with a passed test."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from fastapi import APIRouter
from pydantic import JsonValue
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.host import SetupSession, format_setting, parse_setting
from ploy_connector_aws.host.setting_schema import holds_secret, is_multiline, kind_of
from ploy_connector_aws.sandbox.ploy.registry import IntegrationRow
from ploy_connector_aws.sandbox.ploy.verification import find_blocker, require_unblocked
from ploy_connector_aws.spec import (
    ConfigurationError,
    Document,
    Link,
    Manifest,
    Step,
    TemplateError,
    WizardField,
    choose_features,
    to_settings,
)

from .rendering import is_web_address, render_page
from .session import IntegrationVisit, IntegrationVisitor, SentForm, go_to, value
from .tasks import task_values

router = APIRouter()

_LONGEST_INPUT = 2048
_LONGEST_LINES = 128 * 1024


class Question(NamedTuple):
    """A field of a step, as the page shows it."""

    name: str
    title: str
    description: str
    kind: str
    """'generated' for a value that the platform generated; otherwise 'choice' or the type in the setting's schema."""
    is_multiline: bool
    choices: list[str]
    is_required: bool
    is_secret: bool
    is_set: bool
    value: str
    error: str | None
    is_first_error: bool
    """Whether the page puts the cursor here."""
    is_discarded: bool
    """Whether the person must type it again: nothing was saved, and the page does not show a secret."""


@dataclass
class StepForm:
    """The form of one step: the set-up so far, what was just sent, and the errors in it."""

    row: IntegrationRow
    session: SetupSession
    errors: dict[str, str] = field(default_factory=dict)
    """By field; features under 'feature'."""
    typed: dict[str, str] = field(default_factory=dict)
    """What was just sent, shown again while the form has an error; without secrets."""
    ticked: tuple[str, ...] | None = None
    """The features that were just ticked, shown again likewise."""
    discarded: set[str] = field(default_factory=set)
    """The secrets that were just sent."""
    reason: str = ""
    """The reason that was just sent, shown again likewise."""

    def questions(self, step: Step) -> list[Question]:
        """Return the fields of a step."""
        return [self._question(each) for each in step.fields]

    def read(self, step: Step, form: FormData) -> dict[str, JsonValue]:
        """Read the settings that a form holds, and choose the features where the step asks for them.

        Values that the platform generates are never read. Invalid fields are left out and noted in ``errors``. None
        takes a setting back to its default.
        """
        settings: dict[str, JsonValue] = {}
        for each in step.fields:
            if self._is_generated(each):
                continue
            name, text = each.name, value(form, each.name)
            schema = self.session.schema_of(name)
            kind = kind_of(schema)
            if kind == "boolean":
                # A box that is not ticked is not in the form.
                settings[name], self.typed[name] = bool(text), format_setting(bool(text))
                continue
            if not holds_secret(schema):
                self.typed[name] = text
            elif text:
                self.discarded.add(name)
            elif name in self.session.values:
                continue  # a saved secret stays, as the page does not show it
            if text and is_multiline(schema):
                text = str(form.get(name))  # all of it, with its last line end
            longest = _LONGEST_LINES if kind == "object" or is_multiline(schema) else _LONGEST_INPUT
            if len(text) > longest:
                self.errors[name] = f"This is longer than {longest} characters."
            elif text:
                try:
                    settings[name] = parse_setting(schema, text)
                except ValueError as error:
                    self.errors[name] = f"This {error}."
            elif self.session.is_required(name):
                self.errors[name] = "This is required."
            else:
                settings[name] = None
        if step.asks_features:
            settings |= self._read_features(form)
        return settings

    def changes(self, settings: Mapping[str, JsonValue], features: Collection[str] | None) -> bool:
        """Whether what a form holds changes an integration in use."""
        row = self.row
        differs = any(row.integration.settings.get(name) != new for name, new in settings.items())
        return not row.is_draft and (
            differs or (features is not None and set(features) != set(_chosen(self.session.manifest, row)))
        )

    def read_decision(self, visit: IntegrationVisit, form: FormData) -> dict[str, str]:
        """Read who changes an integration in use, and why; note in ``errors`` what is missing."""
        try:
            return visit.decision(form)
        except HTTPException as error:
            self.errors["decision"] = str(error.detail)
            self.reason = value(form, "reason")
            return {}

    def _read_features(self, form: FormData) -> dict[str, JsonValue]:
        features = self.session.manifest.features
        names = [feature.name for feature in features]
        self.ticked = tuple(name for name in names if name in form.getlist("feature"))
        try:
            self.session.choose(self.ticked, [name for name in names if name not in self.ticked])
        except ValueError as error:
            self.errors["feature"] = str(error)
        switched = to_settings(features, self.session.features, self.session.manifest.config_schema)
        return {each.setting: switched.get(each.setting) for each in features if each.setting}

    def document(self, document: Document) -> str | None:
        """Render a document; None where a value that it needs is missing."""
        with suppress(TemplateError, ConfigurationError):
            return self.session.document(document)
        return None

    def link(self, link: Link) -> str | None:
        """Render a link; None where a value is missing, the wizard does not offer it, or it is no web address."""
        try:
            url = self.session.link(link)
        except (TemplateError, ConfigurationError):
            return None
        return url if url and is_web_address(url) else None

    def _question(self, asked: WizardField) -> Question:
        name, schema = asked.name, self.session.schema_of(asked.name)
        is_generated = self._is_generated(asked)
        is_secret = holds_secret(schema) and not is_generated
        choices = [str(each) for each in schema.get("enum", ())]
        return Question(
            name=name,
            title=self.session.title_of(name),
            description=str(schema.get("description", "")),
            kind="generated" if is_generated else "choice" if choices else kind_of(schema),
            is_multiline=kind_of(schema) == "object" or is_multiline(schema),
            choices=choices,
            is_required=self.session.is_required(name),
            is_secret=is_secret,
            is_set=name in self.session.values,
            value="" if is_secret else self.typed.get(name, self._suggestion(asked)),
            error=self.errors.get(name),
            is_first_error=next(iter(self.errors), None) == name,
            is_discarded=name in self.discarded,
        )

    def _suggestion(self, asked: WizardField) -> str:
        with suppress(TemplateError):
            return self.session.suggestion(asked) or ""
        return ""

    def _is_generated(self, asked: WizardField) -> bool:
        return asked.source == "host" or asked.name in self.row.issued


def _open(visit: IntegrationVisit) -> StepForm:
    """Return the set-up as it is stored now, which is later than ``visit.row`` after a form was saved."""
    row = visit.ploy.registry.integration(visit.id)
    manifest = visit.manifest(row.integration.connector)
    if manifest is None or manifest.wizard is None or not manifest.wizard.steps:
        raise HTTPException(404, "The connector of this integration does not describe its set-up.")
    settings = row.integration.settings
    return StepForm(row, SetupSession(manifest, dict(settings), can_generate=False, features=_chosen(manifest, row)))


def _chosen(manifest: Manifest, row: IntegrationRow) -> tuple[str, ...]:
    if row.features is None:
        return choose_features(manifest.features, settings=row.integration.settings)
    known = {feature.name for feature in manifest.features}
    return tuple(name for name in row.features if name in known)


def _find_step(session: SetupSession, step_id: str) -> tuple[int, Step]:
    for index, step in enumerate(session.wizard.steps):
        if step.id == step_id:
            return index, step
    raise HTTPException(404, "This set-up has no such step.")


@router.get("/integrations/{integration_id}/setup")
def resume(visit: IntegrationVisitor) -> Response:
    """Go to the step that was reached, while the set-up is unfinished; otherwise to the first."""
    form = _open(visit)
    ids = [step.id for step in form.session.wizard.steps]
    reached = form.row.setup_step if not form.row.is_verified else None
    return go_to(f"{visit.path}/setup/{reached if reached in ids else ids[0]}")


@router.get("/integrations/{integration_id}/setup/{step_id}")
def show_step(visit: IntegrationVisitor, step_id: str, test: str = "") -> Response:
    """Show a step; with the task of a connection test, its results so far."""
    return _show(visit, _open(visit), step_id, test=test)


@router.post("/integrations/{integration_id}/setup/{step_id}")
def save_step(visit: IntegrationVisitor, step_id: str, sent: SentForm) -> Response:
    """Save a step and go to the next one, or show the errors."""
    form, ploy = _open(visit), visit.ploy
    index, step = _find_step(form.session, step_id)
    if step.tests_connection:
        require_unblocked(_switched_on(form.row), "check")
    settings = form.read(step, sent)
    features = form.session.features if step.asks_features else None
    decision = form.read_decision(visit, sent) if form.changes(settings, features) else {}
    if form.errors:
        return _show(visit, form, step_id)
    is_shown_again = any(
        settings.get(name := each.name, form.session.values.get(name)) != form.session.values.get(name)
        for each in form.session.used_in(step)
    )
    with ploy.changing_setup(visit.id, **decision):
        ploy.verification.enter(visit.id, settings, features)
    following = () if step.tests_connection else form.session.wizard.steps[index + 1 :]
    ploy.registry.note_step(visit.id, following[0].id if following else step.id)
    if not step.tests_connection and is_shown_again:
        visit.flash("Saved. Below is what you need with these settings; continue when you are done.")
        return go_to(f"{visit.path}/setup/{step_id}")
    if not step.tests_connection:
        return go_to(visit.path + (f"/setup/{following[0].id}" if following else ""))
    form = _open(visit)
    if form.session.missing():
        return _show(visit, form, step_id)
    # From here on a runtime may serve it, with nothing but connection tests until one passes.
    ploy.registry.enable(visit.id)
    task = ploy.create_task(visit.id, "check")
    return go_to(f"{visit.path}/setup/{step_id}?test={task.id}#results")


@router.post("/integrations/{integration_id}/setup/{step_id}/carry-out")
def carry_out(visit: IntegrationVisitor, step_id: str) -> Response:
    """Have the sandbox do at the customer what the documents ask for, and save the settings that result."""
    form, simulator = _open(visit), visit.ploy.customer_simulator
    documents = form.session.wizard.documents()
    rendered = {each.id: text for each in documents if (text := form.document(each)) is not None}
    connector = form.session.manifest.name
    settings = simulator.carry_out(connector, visit.id, rendered) if simulator else {}
    if not settings:
        raise HTTPException(409, "The sandbox cannot do this yet: fill in the earlier steps first.")
    with visit.ploy.changing_setup(visit.id, reason="The sandbox applied the documents of the set-up."):
        visit.ploy.verification.enter(visit.id, settings)
    visit.flash("Done in the sandbox; the resulting settings are filled in.")
    return go_to(f"{visit.path}/setup/{step_id}")


def _switched_on(row: IntegrationRow) -> IntegrationRow:
    """Return an integration as it is during its connection test."""
    return row._replace(is_enabled=True)


def _show(visit: IntegrationVisit, form: StepForm, step_id: str, *, test: str = "") -> Response:
    session, manifest = form.session, form.session.manifest
    index, step = _find_step(session, step_id)
    questions, simulator = form.questions(step), visit.ploy.customer_simulator
    hints = simulator.values(manifest.name) if simulator else {}
    return render_page(
        visit,
        "step.html",
        status=422 if form.errors else 200,
        title=manifest.title,
        steps=session.wizard.steps,
        index=index,
        step=step,
        questions=questions,
        manifest_features=manifest.features,
        chosen=session.features if form.ticked is None else form.ticked,
        errors=form.errors,
        reason=form.reason,
        hints=[(each.title, hints[each.name]) for each in questions if each.name in hints],
        can_carry_out=bool(hints and step.documents),
        blocker=find_blocker(_switched_on(form.row), "check") if step.tests_connection else None,
        missing=session.missing(except_step=step) if step.tests_connection else [],
        to_fill_in=[session.title_of(each.name) for each in session.used_in(step) if each.name not in session.values],
        links=[(each, url) for each in step.links if (url := form.link(each))],
        documents=[(each, form.document(each)) for each in step.documents],
        permissions=[each for each in manifest.permissions if set(each.features) & set(session.features)]
        if step.explains_permissions
        else [],
        **(task_values(visit, test) if test else {"task": None}),
    )
