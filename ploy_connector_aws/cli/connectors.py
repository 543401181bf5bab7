"""``ploy-connector connectors``: which connectors are installed, and which of them cannot be used and why."""

from __future__ import annotations

from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.runtime import logs

from .exit_codes import Exit
from .options import AsJson, Debug
from .output import console, print_json, table, text


def connectors(json: AsJson = False, debug: Debug = False) -> Exit:
    """List the installed connectors, and those that were refused with the reason."""
    logs.configure(debug=debug, for_people=True)
    found = find_connectors()
    usable, refused = list(found.values()), found.refused
    if json:
        print_json(
            {
                "connectors": [
                    {
                        "name": each.name,
                        "title": each.manifest.title,
                        "version": each.manifest.version,
                        "distribution": each.distribution,
                    }
                    for each in usable
                ],
                "refused": [
                    {"name": each.name, "distribution": each.distribution, "reason": each.reason} for each in refused
                ],
            }
        )
        return Exit.OK
    out = console()
    shown = table("connector", "title", "version", "distribution")
    for each in usable:
        shown.add_row(text(each.name), text(each.manifest.title), text(each.manifest.version), text(each.distribution))
    out.print(shown)
    for broken in refused:
        name = f"{text(broken.name)} " if broken.name else ""
        out.print(
            f"[bold red]✗[/] {name}of distribution [bold]{text(broken.distribution)}[/] was refused: "
            f"{text(broken.reason)}.",
            soft_wrap=True,
        )
    return Exit.OK
