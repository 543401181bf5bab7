"""The code blocks of the tutorial: parts of the example for CSV files, as they are; ``tools.docs`` writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "ploy-connector-csv"

_CONNECTOR, _FOLDER, _TEST = "ploy_connector_csv.py", "csv_folder.py", "tests/test_connector.py"
_HOOK = "    @hookimpl\n    def "

PARTS: dict[str, tuple[str, str, tuple[tuple[str, str], ...]]] = {
    "csv_project": ("toml", "pyproject.toml", (("", ""),)),
    "csv_read": ("python", _FOLDER, (("    def read(", "    @contextmanager\n    def lock("),)),
    "csv_manifest": ("python", _CONNECTOR, (("FILES = {", f"{_HOOK}configure"),)),
    "csv_hooks": ("python", _CONNECTOR, ((f"{_HOOK}configure", f"{_HOOK}grant"),)),
    "csv_pages": ("python", _CONNECTOR, (("    def read(", "    def change("),)),
    "csv_change": ("python", _CONNECTOR, ((f"{_HOOK}grant", "    def read("), ("    def change(", ""))),
    "csv_test": ("python", _TEST, (("class TestCsv(", ""),)),
}
"""By block: the language, the file, and where each part begins and ends; empty for the beginning or end of the file."""


def _render_part(name: str) -> Iterator[str]:
    """Yield a block of code."""
    language, file, parts = PARTS[name]
    text = (EXAMPLE / file).read_text()
    yield f"```{language}"
    for number, (start, end) in enumerate(parts):
        begin = text.index(start)
        if number:
            yield ""
        yield text[begin : text.index(end, begin) if end else None].strip("\n")
    yield "```"


def _render_data() -> Iterator[str]:
    """Yield the content of each file of the source."""
    for file in ("people.csv", "groups.csv", "members.csv"):
        yield from (f"`{file}`:", "", "```text", (EXAMPLE / "tests" / "data" / file).read_text().strip(), "```", "")


BLOCKS: dict[str, Callable[[], Iterable[str]]] = {
    **{name: partial(_render_part, name) for name in PARTS},
    "csv_data": _render_data,
}
"""What generates each block."""
