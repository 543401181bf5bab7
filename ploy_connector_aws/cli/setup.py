"""``ploy-connector setup``: runs the wizard in the terminal, prints one document, and writes the configuration file."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import typer
from rich.console import Console

from ploy_connector_aws.host import SetupSession, is_file_reference
from ploy_connector_aws.host.connectors import InstalledConnector
from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime import logs
from ploy_connector_aws.runtime.integration import (
    find_connector,
    name_of,
    open_platform,
    read_config,
    reject_generated,
)
from ploy_connector_aws.runtime.settings import (
    DEFAULT_FILE,
    IntegrationSettings,
    OperatorSettings,
    override_config,
    read_settings,
)
from ploy_connector_aws.spec import ConfigurationError
from ploy_connector_aws.spec.templates import escape

from .check import exit_of, print_report, test_connection
from .exit_codes import Exit
from .output import console, print_json, shown_progress, text
from .prompts import Prompt, WizardPrompts, choose_integration
from .stdout import write

Source: TypeAlias = Literal["file", "platform", "new"]
"""Where the settings of the integration are stored; 'new': nowhere yet."""


def set_up(
    config: Path | None,
    connector: str | None,
    print_id: str | None,
    set_values: Sequence[str],
    with_features: Sequence[str],
    without_features: Sequence[str],
    *,
    overwrite: bool,
    without_ploy: bool,
    as_json: bool,
    debug: bool,
) -> Exit:
    """Run the wizard, or print one of its documents."""
    logs.configure(debug=debug, for_people=True)
    if as_json and not print_id:
        raise typer.BadParameter("--json requires --print")
    path = config or DEFAULT_FILE
    start = _read_start(path, connector, is_new=(overwrite or without_ploy) and not print_id)
    session, installed = start.session, start.installed
    if start.source != "platform" and not print_id:
        reject_existing(path, overwrite=overwrite)
        # A new file means a new integration: discard the old settings, including generated ones.
        session.values.clear()
    session.reject_invalid_features()
    try:
        for each in set_values:
            session.enter(*_name_and_value(each), is_visible=True)
        session.choose(with_features, without_features)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if print_id:
        return _print(session, print_id, as_json=as_json)
    out = console()
    if start.source == "platform":
        out.print(f"Ploy stores the settings of this integration, {text(start.settings.integration.id)}.")
        WizardPrompts(out, session, installed, is_asking=False).run()
        return _finish(out, path if path.exists() else None)
    if without_ploy:
        out.print(text(_describe_set_up(session, without_ploy=True)), soft_wrap=True)
        WizardPrompts(out, session, installed, is_asking=True).run()
        installed.open(session.settings()).close()
        write_config(path, start.connector, session.settings(), overwrite=overwrite)
    else:
        out.print(text(_describe_set_up(session, without_ploy=False)), soft_wrap=True)
        _set_up_at_ploy(out, path, start, overwrite=overwrite)
    out.print(f"Wrote the configuration to {text(path)}; only you can read it.", soft_wrap=True)
    return _finish(out, path, without_ploy=without_ploy)


def _describe_set_up(session: SetupSession, *, without_ploy: bool) -> str:
    """Describe where the integration is kept, and who generates which of its settings."""
    generated = ", ".join(map(session.title_of, sorted(session.wizard.generated_fields())))
    if without_ploy:
        made = f"this machine generates {generated}, and " if generated else ""
        return f"Without Ploy: {made}the file works for every command but sync and run."
    made = f"; Ploy generates {generated}" if generated else ""
    return (
        f"This set-up creates an integration in Ploy, or uses an existing one{made}. "
        "--without-ploy creates it on this machine only."
    )


def _set_up_at_ploy(out: Console, path: Path, start: Start, *, overwrite: bool) -> None:
    """Create or choose the integration in Ploy, run the wizard with its values, and store the settings there."""
    session, installed = start.session, start.installed
    chosen = choose_integration(out, Prompt(out), start.settings, installed)
    integration = chosen.integration
    session.can_generate = False
    session.values = {**session.values, **integration.settings}
    session.choose((), ())
    WizardPrompts(out, session, installed, is_asking=chosen.is_editable).run()
    settings = session.settings()
    if chosen.is_editable:
        installed.open(settings).close()
        generated = session.wizard.generated_fields()
        entered = {name: value for name, value in settings.items() if name not in generated}
        with open_platform(start.settings.model_copy(update={"platform": chosen.platform})) as platform:
            platform.change_settings(integration.id, wire.SettingsChange(settings=entered))
    write_config(
        path,
        start.connector,
        None,
        overwrite=overwrite,
        integration_id=integration.id,
        platform=chosen.to_table(),
    )


@dataclass(frozen=True)
class Start:
    """The state of the integration before the first question."""

    session: SetupSession
    installed: InstalledConnector
    source: Source
    settings: OperatorSettings
    connector: str
    """The name or, for one that is not installed, the file and class."""


def _read_start(path: Path, connector: str | None, *, is_new: bool) -> Start:
    """Read the integration from the file or, if the file has no settings, from Ploy.

    What a host generates comes only from the file or from Ploy.

    Args:
        path: The file; it need not exist.
        connector: The connector that the command line names.
        is_new: Whether to set up a new integration even if the file has one.
    """
    settings = read_settings(path if path.exists() else None)
    source: Source = "file" if settings.config is not None else "platform"
    own, known = connector or settings.integration.connector, dict[str, Any]()
    if is_new or (source == "platform" and settings.integration.id == IntegrationSettings().id):
        source = "new"
    else:
        own, known = read_config(settings)
    with (settings if connector is None else settings.with_connector(connector, "--connector")).naming():
        if connector is not None and name_of(connector) != name_of(own):
            raise ConfigurationError(
                f"The connector of this integration is {name_of(own)!r}, not {connector!r}.",
                field="integration.connector",
            )
        installed = find_connector(connector or own)
    reject_generated(settings, installed)
    with settings.naming("config"):
        values = override_config(known, settings.config_overrides, installed.manifest.config_schema)
    session = SetupSession(installed.manifest, values, can_generate=source != "platform")
    return Start(session, installed, source, settings, _to_stored(connector or own))


def _to_stored(connector: str) -> str:
    """Return a connector as a configuration file names it: one in a file by its full path."""
    file, _, name = connector.rpartition(":")
    return f"{Path(file).expanduser().resolve()}:{name}" if is_file_reference(connector) else connector


def _name_and_value(assignment: str) -> tuple[str, str]:
    name, equals, value = assignment.partition("=")
    if not equals:
        raise ValueError("--set takes NAME=VALUE.")
    return name, value


def _print(session: SetupSession, id_: str, *, as_json: bool) -> Exit:
    documents = {each.id: each for each in session.wizard.documents()}
    links = {each.id: each for each in session.wizard.links()}
    if id_ in documents:
        printed: str | None = session.document(documents[id_]).rstrip("\n")
    elif id_ in links:
        printed = session.link(links[id_])
    else:
        raise typer.BadParameter(f"choose one of {', '.join([*documents, *links])}", param_hint="--print")
    if printed is None:
        raise ConfigurationError(
            f"No link {id_!r}: an operator's value is missing, or the chosen features do not match.",
            fix=f"give {' and '.join(f'--set {each.name}=VALUE' for each in session.wizard.operator_values)}",
        )
    if as_json:
        print_json(
            {"id": id_, "text": printed, "features": list(session.features), "generated": sorted(session.generated)}
        )
    else:
        write(f"{printed}\n")
    for name in sorted(session.generated):
        Console(stderr=True).print(
            f"{text(session.title_of(name))}: generated for this output only, because no configuration has one. The "
            "next run generates a different value, so the outputs of two runs do not match. Run ploy-connector setup "
            f"first, or add this value to the configuration as {text(name)}.",
            soft_wrap=True,
            highlight=False,
        )
    return Exit.OK


def _finish(out: Console, path: Path | None, *, without_ploy: bool = False) -> Exit:
    """Offer a test of the connection, and print the next command."""
    code, command = Exit.OK, "check"
    if Prompt(out).ask_yes("Test the connection now?"):
        with shown_progress("Testing the connection", quiet=False):
            report = test_connection(read_settings(path))
        print_report(out, report, config=path)
        code = exit_of(report)
        if report.is_usable:
            command = "list accounts" if without_ploy else "sync"
    config = f" --config {shlex.quote(str(path))}" if path else ""
    out.print(f"\nNext: [bold]{text(_program_name())} {command}{text(config)}[/]", soft_wrap=True)
    return code


_HEADER = """\
# Written by ploy-connector setup. It holds secrets: keep it readable by yourself only.
"""


def reject_existing(path: Path, *, overwrite: bool) -> None:
    """Raise before the first question if the file cannot be written at the end.

    Raises:
        ConfigurationError: It exists already, or its folder does not exist.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"The folder {path.parent} of the configuration file does not exist.")
    if not overwrite and (path.exists() or path.is_symlink()):
        raise ConfigurationError(
            f"The configuration file {path} exists already.",
            fix=f"test it with ploy-connector check --config {path}, name another file with --config, or replace it "
            "with --overwrite",
        )


def write_config(
    path: Path,
    connector: str,
    settings: Mapping[str, Any] | None,
    *,
    overwrite: bool,
    integration_id: str | None = None,
    platform: Mapping[str, Any] | None = None,
) -> None:
    """Write the file atomically, readable by its owner only.

    Args:
        path: The file.
        connector: The connector's name, or its file and class.
        settings: The connector's settings; None if Ploy stores them.
        overwrite: Whether to replace an existing file.
        integration_id: The integration's id in Ploy.
        platform: Ploy's address and token.

    Raises:
        ConfigurationError: It cannot be written.
    """
    integration = {"id": integration_id, "connector": connector} if integration_id else {"connector": connector}
    tables = {"integration": integration, "config": settings, "platform": platform}
    lines = [_HEADER]
    for table, values in tables.items():
        if values is not None:
            lines += [f"[{table}]", *(f"{name} = {_to_toml(value)}" for name, value in values.items()), ""]
    reject_existing(path, overwrite=overwrite)
    try:
        # mkstemp makes files of mode 0600.
        file_descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(file_descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        Path(temporary).replace(path)
    except OSError as error:
        raise ConfigurationError(f"The configuration file {path} cannot be written: {error.strerror}.") from None


def _to_toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return f'"{escape(value, "toml")}"'
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_to_toml(name)} = {_to_toml(each)}' for name, each in value.items())}}}"
    return f"[{', '.join(_to_toml(each) for each in value)}]"


def _program_name() -> str:
    """Return what a person types to start this program: its name or, if that is not on the PATH, its path."""
    path = sys.argv[0]
    name = Path(path).name
    return name if shutil.which(name) == path else shlex.quote(path)
