"""``ploy-connector setup``: the steps of a connector's wizard in the terminal, or one of its texts for a script."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import typer
from rich.console import Console

from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.opening import find_connector, open_connector, read_config, refuse_chosen
from ploy_connector_aws.runtime.settings import IntegrationSettings, override_config, read_settings
from ploy_connector_aws.spec import ConfigurationError

from . import standard_output
from .answers import Answers
from .check import print_report
from .config_file import refuse_existing, write_config
from .endings import Exit
from .options import AsJson, ConfigFile, ConnectorName, Debug
from .output import console, print_json, text
from .walk import Walk

DEFAULT_FILE = Path("ploy.toml")

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
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Set up an integration step by step, write its configuration file, and try the connection."""
    logs.configure(debug=debug)
    if json and not only:
        raise typer.BadParameter("It goes with --print only, as the steps are for people.", param_hint="--json")
    path = config or DEFAULT_FILE
    answers, source = _read_answers(path, connector)
    if source != "platform" and not only:
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
    walk = Walk(out, answers, is_asking=source != "platform")
    walk.go()
    if source == "platform":
        out.print("The settings of this integration are kept at Ploy; what is missing, set on its integrations page.")
    else:
        answers.installed.open(answers.settings())
        write_config(path, answers.installed.name, answers.settings(), overwrite=overwrite)
        out.print(f"The configuration was written to {text(path)}, which nobody else can read.", soft_wrap=True)
    if walk.ask_yes("Try the connection now?"):
        return _check(out, path if path.exists() else None)
    return Exit.OK


def _read_answers(path: Path, connector: str | None) -> tuple[Answers, Source]:
    """Find what is known of the integration: in the file or, where it keeps no settings, at Ploy.

    An external id is known from there alone: a set-up wrote it into the file, or Ploy stored it.
    """
    settings = read_settings(path if path.exists() else None)
    source: Source = "file" if settings.config is not None else "platform"
    name, known = connector or settings.integration.connector, dict[str, Any]()
    if source == "platform" and settings.integration.id == IntegrationSettings().id:
        source = "nowhere"
    else:
        name, known = read_config(settings)
    if connector not in (None, name):
        raise ConfigurationError(f"The integration is one of the connector {name!r}, not of {connector!r}.")
    installed = find_connector(name)
    refuse_chosen(settings, installed)
    values = override_config(known, settings.config_overrides, installed.manifest.config_schema)
    return Answers(installed, values, may_make=source != "platform"), source


def _name_and_value(given: str) -> tuple[str, str]:
    name, equals, value = given.partition("=")
    if not equals:
        raise ValueError("What is set is written as NAME=VALUE.")
    return name, value


def _print(answers: Answers, id_: str, *, as_json: bool) -> Exit:
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
            fix=f"give --set NAME=VALUE for {', '.join(each.name for each in answers.wizard.operator_values)}",
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


def _check(out: Console, path: Path | None) -> Exit:
    report = open_connector(read_settings(path)).connector.hooks.test_connection()
    print_report(out, report)
    return Exit.OK if report.is_usable else Exit.PERMISSION
