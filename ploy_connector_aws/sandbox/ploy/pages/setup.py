"""The set-up of an integration, step by step, as its connector's manifest has it; it ends with a passed test."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ploy_connector_aws.sandbox.ploy.preconditions import find_obstacle, require_way
from ploy_connector_aws.sandbox.ploy.registry import IntegrationRow
from ploy_connector_aws.spec import Step

from .rendering import render_page
from .session import CustomerSimulator, SentForm, Visit, Visitor, go_to
from .setup_session import SetupSession
from .tasks import check_values

router = APIRouter()


def _answers(visit: Visit, integration_id: str) -> SetupSession:
    enabled = visit.integration(integration_id)
    manifest = visit.ploy.notices.manifests(visit.organisation_id).get(enabled.integration.connector)
    if manifest is None or manifest.wizard is None or not manifest.wizard.steps:
        raise HTTPException(404, "The connector of this integration says nothing of its set-up.")
    return SetupSession(manifest, manifest.wizard, enabled)


def _step(answers: SetupSession, step_id: str) -> tuple[int, Step]:
    for place, step in enumerate(answers.wizard.steps):
        if step.id == step_id:
            return place, step
    raise HTTPException(404, "This set-up has no such step.")


@router.get("/integrations/{integration_id}/setup")
def find_step(visit: Visitor, integration_id: str) -> Response:
    """Go to the step that was reached, while the set-up is not finished; then to the first."""
    answers = _answers(visit, integration_id)
    ids = [step.id for step in answers.wizard.steps]
    reached = answers.enabled.setup_step if not answers.enabled.is_verified else None
    return go_to(f"/integrations/{integration_id}/setup/{reached if reached in ids else ids[0]}")


@router.get("/integrations/{integration_id}/setup/{step_id}")
def show_step(visit: Visitor, integration_id: str, step_id: str, test: str = "") -> Response:
    """Show a step; with the task of a test, its results as they come in."""
    return _show(visit, _answers(visit, integration_id), step_id, test=test)


@router.post("/integrations/{integration_id}/setup/{step_id}")
def answer_step(visit: Visitor, integration_id: str, step_id: str, form: SentForm) -> Response:
    """Keep what was filled in, and go on; or say what is wrong with it."""
    answers = _answers(visit, integration_id)
    place, step = _step(answers, step_id)
    if step.tests_connection:
        require_way(_switched_on(answers.enabled), "check")
    settings, features = answers.read(step, form)
    if answers.wrong:
        return _show(visit, answers, step_id)
    visit.ploy.admission.answer(integration_id, settings, features)
    following = () if step.tests_connection else answers.wizard.steps[place + 1 :]
    visit.ploy.admission.note_step(integration_id, following[0].id if following else step.id)
    if not step.tests_connection:
        return go_to(f"/integrations/{integration_id}" + (f"/setup/{following[0].id}" if following else ""))
    answers = _answers(visit, integration_id)
    if answers.missing():
        return _show(visit, answers, step_id)
    # From now on a runtime may serve it, with nothing but checks until one is passed.
    visit.ploy.enable(integration_id)
    task = visit.ploy.create_task(integration_id, "check")
    return go_to(f"/integrations/{integration_id}/setup/{step_id}?test={task.id}#results")


@router.post("/integrations/{integration_id}/setup/{step_id}/carry-out")
def carry_out(visit: Visitor, integration_id: str, step_id: str) -> Response:
    """Have the sandbox do on the other side what the documents say, and take the answers that come of it."""
    answers = _answers(visit, integration_id)
    stand_in = _stand_in(visit)
    shown = {each.id: text for each in answers.wizard.documents() if (text := answers.document(each)) is not None}
    connector = answers.manifest.name
    found = stand_in.carry_out(connector, integration_id, shown) if stand_in else {}
    if not found:
        raise HTTPException(409, "The sandbox cannot do this: answer the steps before first.")
    visit.ploy.admission.answer(integration_id, found)
    visit.say("Done in the sandbox, and the answers that come of it are filled in.")
    return go_to(f"/integrations/{integration_id}/setup/{step_id}")


def _switched_on(enabled: IntegrationRow) -> IntegrationRow:
    """How an integration is while it is tested."""
    return enabled._replace(is_enabled=True)


def _stand_in(visit: Visit) -> CustomerSimulator | None:
    stand_in: CustomerSimulator | None = visit.request.app.state.stand_in()
    return stand_in


def _show(visit: Visit, answers: SetupSession, step_id: str, *, test: str = "") -> Response:
    place, step = _step(answers, step_id)
    integration_id, stand_in = answers.enabled.integration.id, _stand_in(visit)
    hints = stand_in.values(answers.manifest.name) if stand_in else {}
    return render_page(
        visit,
        "step.html",
        status=422 if answers.wrong else 200,
        enabled=answers.enabled,
        title=answers.manifest.title,
        steps=answers.wizard.steps,
        place=place,
        step=step,
        questions=answers.questions(step),
        manifest_features=answers.manifest.features,
        chosen=answers.features if answers.ticked is None else answers.ticked,
        wrong=answers.wrong,
        hints=[(each.title, hints[each.name]) for each in answers.questions(step) if each.name in hints],
        can_carry_out=bool(hints and step.documents),
        stop=find_obstacle(_switched_on(answers.enabled), "check") if step.tests_connection else None,
        missing=answers.missing(but=step) if step.tests_connection else [],
        links=[(each, url) for each in step.links if (url := answers.link(each))],
        documents=[(each, answers.document(each)) for each in step.documents],
        permissions=[each for each in answers.manifest.permissions if set(each.features) & set(answers.features)]
        if step.explains_permissions
        else [],
        **(check_values(visit, integration_id, test) if test else {"task": None}),
    )
