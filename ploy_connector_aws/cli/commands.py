"""The commands as the command line has them: names, arguments, options and help; each imports its module when it runs.

Nothing else is imported here, so that ``--help``, ``--version`` and shell completion answer at once: a test lists their
modules.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from .exit_codes import Exit
from .options import (
    CONFIG,
    CONFIG_FILE_VARIABLE,
    Account,
    AsJson,
    ConfigFile,
    ConnectorName,
    Debug,
    Format,
    FormatOption,
    Fresh,
    Ids,
    Names,
    ReportFormat,
    SeverityOption,
    StateOption,
    What,
    choose_format,
)

HEALTH_PORT = 9464


def setup(
    config: ConfigFile = None,
    connector: ConnectorName = None,
    print_id: Annotated[
        str | None,
        typer.Option(
            "--print",
            metavar="ID",
            help="Print one document or link and nothing else: trust-policy, policy, cloudformation, terraform, link.",
        ),
    ] = None,
    set_values: Annotated[
        Names, typer.Option("--set", metavar="NAME=VALUE", help="Set a value in advance. Repeatable.")
    ] = None,
    with_features: Annotated[
        Names, typer.Option("--with", metavar="NAME", help="Add a feature that is off by default. Repeatable.")
    ] = None,
    without_features: Annotated[
        Names, typer.Option("--without", metavar="NAME", help="Leave out a feature, or a group of them. Repeatable.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Overwrite an existing configuration file and start a new integration.")
    ] = False,
    without_ploy: Annotated[
        bool,
        typer.Option(
            "--without-ploy",
            help="Set up on this machine only; the file then works for every command but sync and run.",
        ),
    ] = False,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Set up an integration in Ploy step by step, write its configuration file, and test the connection."""
    from .setup import set_up

    return set_up(
        config,
        connector,
        print_id,
        set_values or [],
        with_features or [],
        without_features or [],
        overwrite=overwrite,
        without_ploy=without_ploy,
        as_json=json,
        debug=debug,
    )


def check(
    config: ConfigFile = None, connector: ConnectorName = None, json: AsJson = False, debug: Debug = False
) -> Exit:
    """Test the connection and each permission, and report what to fix. Changes nothing."""
    from .check import check

    return check(config, connector, as_json=json, debug=debug)


def sync(
    config: ConfigFile = None,
    connector: ConnectorName = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would change, and change nothing anywhere.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Set the snapshot file aside first, and read everything again.")
    ] = False,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Read everything, compare it with the last sync, and push what is proven to Ploy."""
    from .sync import sync

    return sync(config, connector, preview=preview, rebuild=rebuild, as_json=json, debug=debug)


def run(
    config: Annotated[
        list[Path] | None,
        typer.Option(
            CONFIG,
            metavar="FILE",
            help="A TOML file with the settings; repeat it for other organisations. A file with an integration's id or "
            "a config table stands for that integration; a file with neither, for all that Ploy enabled for its token.",
            envvar=CONFIG_FILE_VARIABLE,
        ),
    ] = None,
    health_port: Annotated[
        int,
        typer.Option(
            "--health-port",
            metavar="PORT",
            min=0,
            max=65535,
            help="The port of /healthz and /metrics on loopback; 0 takes any free port.",
        ),
    ] = HEALTH_PORT,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Scan and poll for one or many integrations until SIGTERM or Ctrl-C; the next start resumes unfinished work.

    Ends at once if another process runs all of them already.
    """
    from .service import run

    return run(config or [], health_port, as_json=json, debug=debug)


def list_records(
    what: Annotated[
        What, typer.Argument(metavar="WHAT", help="What to list; accounts are people, machines and outside parties.")
    ],
    kinds: Annotated[
        Names, typer.Option("--kind", metavar="KIND", help="Only of this kind, e.g. 'people'. Repeatable.")
    ] = None,
    statuses: Annotated[
        Names, typer.Option("--status", metavar="STATUS", help="Only active, disabled or unknown ones. Repeatable.")
    ] = None,
    privileged: Annotated[
        bool, typer.Option("--privileged", help="Only what is privileged or leads to what is, and by which path.")
    ] = False,
    unproven: Annotated[bool, typer.Option("--unproven", help="Only what the last sync kept without proof.")] = False,
    search: Annotated[str, typer.Option("--search", metavar="TEXT", help="Only what contains this text.")] = "",
    place: Annotated[
        str | None, typer.Option("--in", metavar="PLACE", help="Only what is in this place, or reaches into it.")
    ] = None,
    holds: Annotated[
        str | None, typer.Option("--holds", metavar="ENTITLEMENT", help="Only what holds this, directly or not.")
    ] = None,
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="FIELD",
            show_default=False,
            help="Sort by name, kind, status, region, owner, privileged or grantable; -FIELD sorts downwards.",
        ),
    ] = "default",
    severities: SeverityOption = None,
    states: StateOption = None,
    ids: Ids = False,
    fresh: Fresh = False,
    format: FormatOption = None,  # noqa: A002 - the name of the option
    json: AsJson = False,
    config: ConfigFile = None,
    connector: ConnectorName = None,
    debug: Debug = False,
) -> Exit:
    """List accounts, entitlements, grants, resources or findings, as of the last sync or, without one, as of now.

    People come first, then machines, then outside parties.
    """
    from .listing import Filters, list_records

    filters = Filters(kinds or [], statuses or [], privileged, unproven, search, place, holds, sort)
    chosen = choose_format(Format, format, json)
    if what is What.FINDINGS:
        from .findings import list_findings

        chosen_findings = filters, severities or [], states or []
        return list_findings(*chosen_findings, config, connector, fresh=fresh, ids=ids, chosen=chosen, debug=debug)
    if severities or states:
        raise typer.BadParameter(
            "applies only to findings; leave it out", param_hint="--severity" if severities else "--state"
        )
    return list_records(what, filters, config, connector, fresh=fresh, ids=ids, chosen=chosen, debug=debug)


def access(
    account: Annotated[
        str,
        typer.Argument(
            metavar="HOLDER", help="A person or machine, or a group or role: its name or id, as it is printed."
        ),
    ],
    ids: Ids = False,
    fresh: Fresh = False,
    format: FormatOption = None,  # noqa: A002 - the name of the option
    json: AsJson = False,
    config: ConfigFile = None,
    connector: ConnectorName = None,
    debug: Debug = False,
) -> Exit:
    """Show what a person or machine holds and by which paths, or what a group or role opens, as of the last sync.

    Of the paths to one entitlement, the 50 shortest are shown. Without a sync, the source is read now.
    """
    from .access import access

    return access(
        account, config, connector, fresh=fresh, ids=ids, chosen=choose_format(Format, format, json), debug=debug
    )


def who(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            help="A place, a group, a role, a policy or a resource: its name or id, as it is printed.",
        ),
    ],
    ids: Ids = False,
    fresh: Fresh = False,
    format: FormatOption = None,  # noqa: A002 - the name of the option
    json: AsJson = False,
    config: ConfigFile = None,
    connector: ConnectorName = None,
    debug: Debug = False,
) -> Exit:
    """Show everybody who reaches a target and by which paths, the privileged first; disabled people are marked."""
    from .who import who

    return who(target, config, connector, fresh=fresh, ids=ids, chosen=choose_format(Format, format, json), debug=debug)


def _change(kind: Literal["grant", "revoke"], summary: str) -> Callable[..., Exit]:
    """Make the command of a kind of change; the two differ in nothing else."""

    def change(
        account: Account,
        entitlement: Annotated[str, typer.Argument(metavar="ENTITLEMENT", help="An id or a name.")],
        preview: Annotated[bool, typer.Option("--preview", help="Show what would happen, and change nothing.")] = False,
        yes: Annotated[bool, typer.Option("--yes", help="Make the change without asking.")] = False,
        reason: Annotated[
            str | None, typer.Option("--reason", help="The reason of the change; it is kept, and shown in Ploy.")
        ] = None,
        config: ConfigFile = None,
        connector: ConnectorName = None,
        json: AsJson = False,
        debug: Debug = False,
    ) -> Exit:
        from .grant_revoke import change

        return change(
            kind,
            account,
            entitlement,
            config,
            connector,
            preview=preview,
            yes=yes,
            reason=reason,
            as_json=json,
            debug=debug,
        )

    change.__name__, change.__doc__ = kind, summary
    return change


grant = _change("grant", "Give one account one entitlement, and verify that it holds it.")
revoke = _change(
    "revoke", "Take one entitlement from one account, verify that it is gone, and report what remains open."
)


def history(
    config: ConfigFile = None,
    connector: ConnectorName = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of the newest runs.")] = 20,
    format: FormatOption = None,  # noqa: A002 - the name of the option
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """List the last syncs, decisions on held ones, what is unproven, and the changes that commands made here."""
    from .history import history

    return history(config, connector, limit=limit, chosen=choose_format(Format, format, json), debug=debug)


def manifest(connector: ConnectorName = None, json: AsJson = False, debug: Debug = False) -> Exit:  # noqa: ARG001
    """Print the connector's manifest as YAML."""
    from .connectors import manifest

    return manifest(connector, as_json=json)


def connectors(json: AsJson = False, debug: Debug = False) -> Exit:
    """List the installed connectors, and those that cannot be used with the reason."""
    from .connectors import connectors

    return connectors(as_json=json, debug=debug)


def validate(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="An installed connector, or the class in a file: ./staff.py:Staff.")
    ],
    config: ConfigFile = None,
    trace: Annotated[bool, typer.Option("--trace", help="Read once, and show the tree of scopes.")] = False,
    every_page: Annotated[
        bool, typer.Option("--every-page", help="Cut the reads at every page, for a source with few of them.")
    ] = False,
    writes: Annotated[
        bool, typer.Option("--writes", help="Also test partial failures and changes. Needs --driver.")
    ] = False,
    driver: Annotated[
        str | None, typer.Option("--driver", metavar="FILE:CLASS", help="The class that changes the source.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Read as often as needed without asking.")] = False,
    format: Annotated[  # noqa: A002 - the name of the option
        ReportFormat | None, typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(ReportFormat)}.")
    ] = None,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Test a connector by the rules of the kit for authors, on a real source. Changes nothing without --writes.

    The source is read once; then the command prints how many more reads and calls the rules need, and asks.
    """
    from .validate import show_trace, validate

    chosen = choose_format(ReportFormat, format, json)
    if trace and (writes or driver or every_page):
        raise typer.BadParameter(
            "reads once, and cannot be used with --writes, --driver or --every-page", param_hint="--trace"
        )
    if trace:
        return show_trace(name, config, chosen=chosen, debug=debug)
    return validate(name, config, driver, chosen=chosen, every_page=every_page, writes=writes, yes=yes, debug=debug)


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The connector's name: lower-case letters, digits and hyphens.")
    ],
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Write the package of a new connector, with its tests, into a new folder; it runs as it is."""
    from .new import new

    return new(name, as_json=json, debug=debug)


def sandbox(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="The folder for its files, emptied at each start; a temporary folder by default.",
        ),
    ] = None,
    json: AsJson = False,
    debug: Debug = False,
) -> Exit:
    """Start a local AWS with a believable organisation, a local Ploy, and the service, until Ctrl-C."""
    from .service import sandbox

    return sandbox(folder, as_json=json, debug=debug)


def demo(json: AsJson = False, debug: Debug = False) -> Exit:
    """Show the main job: read a company's AWS, prove and push it; then change access, and lose a permission."""
    from .demo import demo

    return demo(as_json=json, debug=debug)
