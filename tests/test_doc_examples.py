"""The Python code of the how-to pages runs, page by page and in order."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ploy_connector_aws.host import change_access, check_connector
from ploy_connector_aws.spec import SPEC_VERSION, AccessRequest, ConnectionReport, Grant, Manifest, Page, hookimpl

FOLDER = Path(__file__).parent.parent / "docs" / "how-to"
PAGES = ("nested-groups.md", "read-a-source.md", "translate-exceptions.md")


def run_page(name: str) -> dict[str, Any]:
    """Run the code of a page; its assertions are in it."""
    namespace: dict[str, Any] = {}
    blocks = re.findall(r"^( *)```python\n(.*?)^ *```$", (FOLDER / name).read_text(), re.S | re.M)
    for _, block in blocks:
        exec(compile(textwrap.dedent(block), name, "exec"), namespace)
    return namespace


@pytest.mark.parametrize("name", PAGES)
def test_code_of_the_page_runs(name: str) -> None:
    run_page(name)


def test_host_accepts_the_manifest_of_the_reference() -> None:
    hooks = (FOLDER.parent / "reference" / "hooks.md").read_text()
    code = re.search(r"```python\n(.*?)```", hooks.partition("\n## The manifest\n")[2], re.S)
    assert code is not None
    namespace: dict[str, Any] = {}
    exec(code[1], namespace)
    manifest: Manifest = namespace["manifest"]
    assert manifest.wizard is not None
    (document,) = manifest.wizard.documents()
    assert manifest.wizard.render_document(document, {"url": "https://a.example"}, ["people", "rooms"]) == (
        '[client]\naddress = "https://a.example"\nrights = "people:read rooms:read"\n'
    )


def test_host_accepts_the_changes_of_nested_groups() -> None:
    page = run_page("nested-groups.md")
    described = Manifest(
        name="nested", title="Nested", version="1", spec_version=SPEC_VERSION, description="", config_schema={}
    )

    directory: Any = page["Directory"]

    class Nested(directory):  # type: ignore[misc]
        manifest = described

        def __init__(self) -> None:
            super().__init__(page["EDGES"])

        @hookimpl
        def configure(self) -> None:
            pass

        @hookimpl
        def test_connection(self) -> ConnectionReport:
            return ConnectionReport(checks=())

        @hookimpl
        def list_accounts(self) -> Iterator[Page]:
            yield from ()

    connector = check_connector("docs", Nested).open({})

    def ends(kind: Any, account: str, *, preview: bool) -> tuple[str, list[list[str]], list[list[str]], list[Grant]]:
        request = AccessRequest(request_id="r", account_id=account, entitlement_id="oncall", preview=preview)
        change = change_access(connector, kind, request, lambda: datetime.now(UTC))
        moved, remaining = (
            [[grant.entitlement_id for grant in path.grants] for path in paths]
            for paths in (change.opened_paths or change.closed_paths, change.remaining_paths)
        )
        return change.outcome, moved, remaining, [*change.added, *change.removed]

    up, other = [["oncall", "platform", "admin"]], [["engineering", "platform", "admin"]]
    ann, ben = page["member"]("ann", "oncall"), page["member"]("ben", "oncall")
    assert ends("grant", "ben", preview=True) == ("previewed", up, [], [ben])
    assert ends("grant", "ben", preview=False) == ("applied", up, [], [ben])
    assert ends("revoke", "ann", preview=True) == ("previewed", up, other, [ann])
    assert ends("revoke", "ann", preview=False) == ("applied", up, other, [ann])
    assert ends("revoke", "ann", preview=True) == ("previewed", [], [], [])
    assert ends("revoke", "ann", preview=False) == ("already_in_effect", up, other, [ann])
