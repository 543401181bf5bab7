"""``make bench`` and ``make bench-full``: every row of ``scenarios``, with its bound.

Run as ``python -m benchmarks.bench [--full] [--any-load]``. A row that is worse than its bound fails the command. Each
run leaves a record in ``benchmarks/results``, from which ``docs/explanation/performance.md`` is written.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .scenarios import FULL, SHORT, Row, sites

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
DOCUMENT = ROOT / "docs" / "explanation" / "performance.md"
_HIGHEST_LOAD = 1.0
REMAINS = (
    "## What a call costs beyond boto3",
    "",
    "With the seed's policy a sync makes a call for each user and group, so its CPU time is that of about 12,000 "
    "calls. boto3 alone takes about 620 µs for one of them, and a sync about 735 µs, storing included. The start of a "
    "sync and the 22,000 records of LARGE take about 3.5 s more than boto3 alone, whatever the calls.",
    "",
    "| part | µs a call | why it stays |",
    "|---|---|---|",
    "| check of each response before botocore parses it | 25 | botocore takes a cut or foreign body for an empty "
    "list; its JSON is therefore parsed twice |",
    "| rate limiter, allow-list, counts and time limit | 45 | each attempt waits for the quota of its service, and no "
    "exchange lasts for ever |",
    "| types of all values, and the end of the pages | 15 | a number in place of an id fails its scope |",
    "| records and scope of a principal | 40 | each principal has a scope, so that one failure costs no other |",
    "| worker threads and their queue | 10 | as many read as the rate times the latency needs: without latency one, "
    "at 300 ms eight; more would only hand the interpreter to each other |",
    "| check and storage of the page, 50 of them while no thread reads | 40 | "
    "an invalid record fails its scope; the run can be resumed |",
    "",
    "It saves 85 µs: botocore does not validate the parameters of reads, as AWS does; a small request is sent at once, "
    "not its head before its body; and the endpoint of an operation and the name of the program are made once. "
    "More would need another HTTP client or another signer than botocore's. "
    "To share botocore's HTTP session between clients would save 0.14 ms for each client, of which a sync has four.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and write the record and the document; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench")
    parser.add_argument("--full", action="store_true", help="play the rate limits at full size (up to 75 minutes)")
    parser.add_argument("--any-load", action="store_true", help="start on a busy machine, too")
    parser.add_argument("--only", metavar="NUMBERS", help="play only these scenarios, such as 0,4; writes no record")
    chosen = parser.parse_args(arguments)
    load = os.getloadavg()[0]
    if load > _HIGHEST_LOAD and not chosen.any_load:
        print(f"The load is {load:.1f}, so the times would mean little. --any-load starts anyway.")  # noqa: T201
        return 2
    console = Console()
    began = time.monotonic()
    rows: list[Row] = []
    scenarios = FULL if chosen.full else SHORT
    numbers = [int(each) for each in chosen.only.split(",")] if chosen.only else range(len(scenarios))
    with sites() as site:
        for number in numbers:
            for row in scenarios[number](site):
                rows.append(row)
                console.print(
                    f"{time.monotonic() - began:5.0f} s  {row.name}: {row.value:.4g} {row.unit}", soft_wrap=True
                )
    console.print(to_table(rows))
    if not chosen.only:
        record = to_record(rows, load, is_full=chosen.full, seconds=time.monotonic() - began)
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{'full' if chosen.full else 'short'}.json"
        path.write_text(json.dumps(record, indent=1) + "\n")
        DOCUMENT.write_text(render(read_records()))
        console.print(f"Wrote {path.relative_to(ROOT)} and {DOCUMENT.relative_to(ROOT)}.")
    return 0 if all(row.is_kept for row in rows) else 1


def to_table(rows: Sequence[Row]) -> Table:
    """Return the rows as a table; those worse than their bound are red."""
    table = Table("measure", "value", "bound")
    for row in rows:
        bound = "-" if row.bound is None else f"{row.bound:.4g} {row.unit}"
        table.add_row(row.name, f"{row.value:.4g} {row.unit}", bound, style=None if row.is_kept else "red")
    return table


def to_record(rows: Sequence[Row], load: float, *, is_full: bool, seconds: float) -> dict[str, Any]:
    """Return what ``benchmarks/results`` keeps of a run."""
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "command": "make bench-full" if is_full else "make bench",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision.stdout.strip(),
        "machine": {
            "processors": os.cpu_count(),
            "kind": _processor(),
            "system": platform.system(),
            "python": platform.python_version(),
            "load_before": round(load, 2),
        },
        "seconds": round(seconds),
        "rows": [asdict(row) for row in rows],
    }


def read_records() -> list[dict[str, Any]]:
    """Return the records, the short one first."""
    paths = [RESULTS / f"{name}.json" for name in ("short", "full")]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def render(records: Sequence[Mapping[str, Any]]) -> str:
    """Return ``docs/explanation/performance.md``."""
    return "\n".join(_lines(records)) + "\n"


def _lines(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "<!-- Generated by python -m benchmarks.bench from benchmarks/results; a test compares them. -->"
    yield "# Performance"
    yield ""
    yield (
        "What a sync costs, measured against a double of AWS and a platform that only keeps what it is sent, in other "
        "processes of the same machine. LARGE has 10,000 users, 1,000 groups, 10,298 memberships, 50 permission sets, "
        "20 AWS accounts and 2,000 assignments. After each scenario the records are compared with what AWS holds."
    )
    if not records:
        yield ""
        yield "Not measured yet: `make bench` on a quiet machine writes this page."
    for record in records:
        machine = record["machine"]
        yield ""
        yield f"## `{record['command']}`"
        yield ""
        yield (
            f"{record['at'][:10]}, revision {record['revision']}, {machine['processors']} processors"
            f" ({machine['kind']}), {machine['system']}, Python {machine['python']},"
            f" load {machine['load_before']} before it, {record['seconds']} seconds."
        )
        yield ""
        yield "| measure | value | bound | kept | measured command |"
        yield "|---|---|---|---|---|"
        for each in record["rows"]:
            row = Row(**{**each, "rounds": tuple(each["rounds"])})
            bound = "" if row.bound is None else f"{row.bound:.4g} {row.unit}"
            kept = "" if row.bound is None else "yes" if row.is_kept else "**no**"
            yield f"| {row.name} | {row.value:.4g} {row.unit} | {bound} | {kept} | `{row.command}` |"

    yield from ("", *REMAINS)


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
