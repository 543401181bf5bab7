"""``ploy-connector setup``: the steps of a connector's wizard in the terminal, or one of its texts for a script."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer
from rich.console import Console

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.integration import find_connector, open_platform, read_config, reject_generated
from ploy_connector_aws.runtime.settings import (
    IntegrationSettings,
    OperatorSettings,
    override_config,
    read_settings,
)
from ploy_connector_aws.spec import ConfigurationError

from . import standard_output
from .check import exit_of, print_report
from .config_file import refuse_existing, write_config
from .connection_test import test_connection
from .exit_codes import Exit
from .options import DEFAULT_FILE, AsJson, ConfigFile, ConnectorName, Debug, program_name
from .output import console, print_json, text
from .platform_setup import join
from .prompts import Prompt, Prompts
from .setup_session import SetupSession

Source: TypeAlias = Literal["file", "platform", "nowhere"]
"""Where the settings of the integration are kept."""

Names = list[str] | None


def setup(
    config: ConfigFile = None,
    connector: ConnectorName = None,
    only: Annotated[
        str | None,
        typer.Option(
            "--print",
            metavar="ID",
            help="Print one document or link and nothing else: trust-policy, policy, cloudformation, terraform, link.",
        ),
    ] = None,
    given: Annotated[
        Names, typer.Option("--set", metavar="NAME=VALUE", help="Answer a question beforehand. Repeatable.")
    ] = None,
    more: Annotated[
        Names, typer.Option("--with", metavar="NAME", help="Add a feature that is off by default. Repeatable.")
    ] = None,
    without: Annotated[
        Names, typer.Option("--without", metavar="NAME", help="Leave out a feature, or a group of them. Repeatable.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the configuration file by that of a new integration.")
    ] = False,
    without_ploy: Annotated[
        bool,
        typer.Option(
            "--without-ploy", help="Generate the external ID here; the file then works for list, access and check only."
        ),
    ] = False,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Set up an integration at Ploy step by step, write its configuration file, and test the connection."""
    logs.configure(debug=debug, for_people=True)
    if json and not only:
        raise typer.BadParameter("It goes with --print only, as the steps are for people.", param_hint="--json")
    path = config or DEFAULT_FILE
    known = _read_known(path, connector, is_new=(overwrite or without_ploy) and not only)
    answers = known.answers
    if known.source != "platform" and not only:
        refuse_existing(path, overwrite=overwrite)
        # The integration of a file that is replaced ends with it, and so does its external id.
        answers.values.clear()
    answers.refuse_wrong_features()
    try:
        for each in given or ():
            answers.take(*_name_and_value(each), is_visible=True)
        answers.choose(more or (), without or ())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if only:
        return _print(answers, only, as_json=json)
    out = console()
    if known.source == "platform":
        out.print(f"Ploy keeps the settings of this integration, {text(known.settings.integration.id)}.")
        Prompts(out, answers, is_asking=False).go()
        return _finish(out, path if path.exists() else None)
    if without_ploy:
        out.print(_WITHOUT_PLOY, soft_wrap=True)
        Prompts(out, answers, is_asking=True).go()
        answers.installed.open(answers.settings())
        write_config(path, answers.installed.name, answers.settings(), overwrite=overwrite)
    else:
        out.print(_WITH_PLOY, soft_wrap=True)
        _set_up_at_ploy(out, path, known, overwrite=overwrite)
    out.print(f"The configuration was written to {text(path)}, which only you can read.", soft_wrap=True)
    return _finish(out, path, without_ploy=without_ploy)


_WITH_PLOY = (
    "This set-up makes an integration at Ploy, or uses one that is there; Ploy generates its external ID. "
    "With --without-ploy it is made on this machine alone."
)
_WITHOUT_PLOY = (
    "Without Ploy: the external ID is generated on this machine, and the file works for list, access and check; "
    "nothing can be synced with it."
)


def _set_up_at_ploy(out: Console, path: Path, known: Known, *, overwrite: bool) -> None:
    """Make or choose the integration at Ploy, walk through the steps with its external ID, and keep the answers."""
    answers = known.answers
    joined = join(out, Prompt(out), known.settings, answers.installed)
    integration = joined.integration
    answers.may_make = False
    answers.values = {**answers.values, **integration.settings}
    answers.choose((), ())
    Prompts(out, answers, is_asking=joined.is_open).go()
    settings = answers.settings()
    if joined.is_open:
        answers.installed.open(settings)
        generated = answers.wizard.generated_fields()
        entered = {name: value for name, value in settings.items() if name not in generated}
        with open_platform(known.settings.model_copy(update={"platform": joined.platform})) as platform:
            platform.change_settings(integration.id, wire.SettingsChange(settings=entered))
    write_config(
        path,
        answers.installed.name,
        None,
        overwrite=overwrite,
        integration_id=integration.id,
        platform=joined.to_table(),
    )


@dataclass(frozen=True)
class Known:
    """What is known of the integration before anything is asked."""

    answers: SetupSession
    source: Source
    settings: OperatorSettings


def _read_known(path: Path, connector: str | None, *, is_new: bool) -> Known:
    """Find what is known of the integration: in the file or, where it keeps no settings, at Ploy.

    An external id is known from there alone: a set-up wrote it into the file, or Ploy stored it.

    Args:
        path: The file; it need not exist.
        connector: The connector that the command line names.
        is_new: Whether a new integration is set up, whatever the file has.
    """
    settings = read_settings(path if path.exists() else None)
    source: Source = "file" if settings.config is not None else "platform"
    name, known = connector or settings.integration.connector, dict[str, Any]()
    if is_new or (source == "platform" and settings.integration.id == IntegrationSettings().id):
        source = "nowhere"
    else:
        name, known = read_config(settings)
    if connector not in (None, name):
        raise ConfigurationError(
            f"--connector: The integration has the connector {name!r}, not {connector!r}.", is_located=True
        )
    with (settings if connector is None else settings.with_connector(connector, "--connector")).naming():
        installed = find_connector(name)
    reject_generated(settings, installed)
    values = override_config(known, settings.config_overrides, installed.manifest.config_schema)
    return Known(SetupSession(installed, values, may_make=source != "platform"), source, settings)


def _name_and_value(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise ValueError("What is set is written as NAME=VALUE.")
    return name, value


def _print(answers: SetupSession, id_: str, *, as_json: bool) -> Exit:
    documents = {each.id: each for each in answers.wizard.documents()}
    links = {each.id: each for each in answers.wizard.links()}
    if id_ in documents:
        printed: str | None = answers.document(documents[id_]).rstrip("\n")
    elif id_ in links:
        printed = answers.link(links[id_])
    else:
        raise typer.BadParameter(f"There are {', '.join([*documents, *links])}.", param_hint="--print")
    if printed is None:
        raise ConfigurationError(
            f"The link {id_!r} leads nowhere: a value of the operator is missing, or it does not fit the chosen "
            "features.",
            fix=f"give {' and '.join(f'--set {each.name}=VALUE' for each in answers.wizard.operator_values)}",
        )
    if as_json:
        print_json({"id": id_, "text": printed, "features": list(answers.features), "made": sorted(answers.made)})
    else:
        standard_output.write(f"{printed}\n")
    for name in sorted(answers.made):
        Console(stderr=True).print(
            f"{text(answers.schema_of(name).get('title', name))}: a new one was made for this text alone, as there is "
            "no configuration that has one. The next call makes another, so the texts of two calls do not fit each "
            "other. Run ploy-connector setup first, and every text has the one that it wrote; or put this one into the "
            f"configuration as {text(name)}.",
            soft_wrap=True,
            highlight=False,
        )
    return Exit.OK


def _finish(out: Console, path: Path | None, *, without_ploy: bool = False) -> Exit:
    """Test the connection where that is wanted, and print the next command to type."""
    code, following = Exit.OK, "check"
    if Prompt(out).ask_yes("Try the connection now?"):
        report = test_connection(read_settings(path))
        print_report(out, report, config=path)
        code = exit_of(report)
        if report.is_usable:
            following = "list accounts" if without_ploy else "sync"
    config = f" --config {shlex.quote(str(path))}" if path else ""
    out.print(f"\nNext: [bold]{text(program_name())} {following}{text(config)}[/]", soft_wrap=True)
    return code
