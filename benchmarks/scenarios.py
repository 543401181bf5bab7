"""The rows of the bench: what each measures, how, and the bound that it must keep."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ploy_connector_aws.aws.client.rate_limits import CALLS_PER_SECOND

from .aws_double import Rules, to_json
from .measured import COMMAND, Usage, run_measured
from .organisations import LARGE, OWNER, REGION, Dataset, Size, iam, identity_center, truth
from .platform_sink import PlatformSink

ROUNDS = 3

_EXTERNAL_ID = "4f6c7d1e-9a2b-4c3d-8e5f-0a1b2c3d4e5f"
_AWS_RATE = 20.0
_LATENCY_SECONDS = 0.03
_START_SECONDS = 1.5
"""Of a sync: to start, to prove the external ID and to commit. It does not shrink with the organisation."""
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SERVICES = {"sso": "sso-admin", "identitystore": "identitystore"}


@dataclass(frozen=True)
class Row:
    """One measured value."""

    name: str
    value: float
    unit: str
    bound: float | None
    """The largest value that is accepted; None: for orientation."""
    command: str
    rounds: tuple[float, ...] = ()
    """The values that the value is the median of."""

    @property
    def is_kept(self) -> bool:
        """Whether the bound is kept."""
        return self.bound is None or self.value <= self.bound


class Site:
    """The double of AWS, the sink, and one integration between them."""

    def __init__(self, folder: Path, port: int, sink: PlatformSink) -> None:
        self._folder = folder
        self._url = f"http://127.0.0.1:{port}"
        self.sink = sink
        self.cpu_of_large: dict[bool, float] = {}
        """Of an unchanged sync, without and with the optional permissions."""

    def set_up(self, scopes: list[str]) -> None:
        """Write the configuration of an integration that was never synced."""
        name = f"int_{len(list(self._folder.glob('*.toml')))}"
        self._config = self._folder / f"{name}.toml"
        self._config.write_text(
            f'[integration]\nid = "{name}"\nconnector = "aws"\n\n'
            f'[config]\naccount_id = "{OWNER}"\nregion = "{REGION}"\nexternal_id = "{_EXTERNAL_ID}"\n'
            f'role_arn = "arn:aws:iam::{OWNER}:role/PloyConnector"\nscopes = {json.dumps(scopes)}\n\n'
            f'[platform]\nurl = "{self.sink.url}"\ntoken = "bench"\n\n'
            f"[state]\ndir = {json.dumps(str(self._folder / 'state'))}\n"
        )
        self._config.chmod(0o600)
        self.sink.generation = 0

    def play(self, data: Dataset, **rules: Any) -> None:
        """Have the double answer from a dataset."""
        path = self._folder / f"{time.monotonic_ns()}.json"
        path.write_text(to_json(data))
        self._rules = Rules(dataset=str(path), external_id=_EXTERNAL_ID, **rules)

    def apply_rules(self) -> None:
        """Give the double its rules; its counts and rate limits begin again."""
        self._call("PUT", json.dumps(asdict(self._rules)).encode())

    def sync(self, *, rate_factor: float = 1000) -> Usage:
        """Run a sync, and leave what it called in ``report``."""
        self.apply_rules()
        usage = run_measured(
            [COMMAND, "sync", "--json", "--config", str(self._config)],
            {**self._environment, "PLOY_AWS_RATE_FACTOR": str(rate_factor)},
        )
        self.report = json.loads(self._call("GET"))
        return usage

    def boto3_alone(self) -> Usage:
        """Have boto3 make the calls of the last sync, but those of STS."""
        path = self._folder / "calls.json"
        path.write_text(json.dumps([call for call in self.report["calls"] if call[0] != "sts"]))
        return run_measured([sys.executable, "-m", "benchmarks.boto3_alone", str(path)], self._environment)

    def check_records(self, data: Dataset) -> None:
        """Compare what the platform holds with what AWS holds.

        Raises:
            RuntimeError: A record is missing, or there is one more.
        """
        found = self.sink.records()
        for type_, expected in truth(data).items():
            if found[type_] != expected:
                missing, extra = list(expected - found[type_])[:3], list(found[type_] - expected)[:3]
                raise RuntimeError(f"{type_}: missing {missing}, extra {extra}")

    def count(self, *services: str) -> int:
        """Count the calls of the last sync to these services; without any, to all but STS."""
        counts = Counter[str]()
        for name, number in self.report["counts"].items():
            counts[name.partition(":")[0]] += number
        return sum(number for name, number in counts.items() if name != "sts" and (not services or name in services))

    @property
    def _environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_ACCESS_KEY_ID": "AKIADOUBLEDOUBLE0001",
            "AWS_SECRET_ACCESS_KEY": "double",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }

    def _call(self, method: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self._url}/double", data=body, method=method)
        with _OPENER.open(request) as answer:
            found: bytes = answer.read()
            return found


@contextmanager
def sites() -> Iterator[Site]:
    """Run the double and the sink while the block runs."""
    with (
        tempfile.TemporaryDirectory(prefix="ploy-bench-") as folder,
        subprocess.Popen([sys.executable, "-m", "benchmarks.aws_double"], stdout=subprocess.PIPE, text=True) as double,
        PlatformSink() as sink,
    ):
        try:
            assert double.stdout is not None
            yield Site(Path(folder), int(double.stdout.readline()), sink)
        finally:
            double.terminate()


def help_start() -> Iterator[Row]:
    """How long ``--help`` takes beside Python with the libraries that print it."""
    bare = [sys.executable, "-c", "import typer, rich.console"]
    pairs = [(run_measured([COMMAND, "--help"], {}).seconds, run_measured(bare, {}).seconds) for _ in range(9)]
    ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    yield Row("--help / python -c 'import typer, rich.console'", ours / theirs, "times", 2.2, "ploy-connector --help")


def unchanged_sync(site: Site, size: Size, *, allows_optional: bool) -> Iterator[Row]:
    """A sync that finds nothing new, without latency, beside boto3 alone making the same calls; then a hundredth of it
    changes."""
    data = identity_center(size)
    site.set_up(["identity-center"])
    site.play(data, allows_optional=allows_optional)
    site.sync()
    site.check_records(data)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(site.sync())
        theirs.append(site.boto3_alone())
    site.check_records(data)
    calls = site.count()
    peak = max(usage.peak_megabytes for usage in ours)
    row = partial(_row, f"LARGE {_label(allows_optional)}", "ploy-connector sync")
    yield row("AWS calls", [calls], "calls", 2_180 if allows_optional else None)
    yield row("wall", [usage.seconds for usage in ours], "s", 7.5 if allows_optional else None)
    yield row("CPU", [usage.cpu_seconds for usage in ours], "s", 5.5 if allows_optional else None)
    ratios = [one.cpu_seconds / other.cpu_seconds for one, other in zip(ours, theirs, strict=True)]
    yield row("CPU / boto3 alone making the same calls", ratios, "times", None if allows_optional else 1.3)
    walls = [one.seconds / other.seconds for one, other in zip(ours, theirs, strict=True)]
    yield row("wall / boto3 alone, one call after the other", walls, "times", None)
    yield row("peak memory", [peak], "MB", 120)
    if size == LARGE:
        site.cpu_of_large[allows_optional] = statistics.median(usage.cpu_seconds for usage in ours)
    _change(site, size, allows_optional=allows_optional)


def _change(site: Site, size: Size, *, allows_optional: bool) -> None:
    """Let a hundredth of the organisation change, and check what a sync makes of it."""
    changed = identity_center(size, version=1)
    site.play(changed, allows_optional=allows_optional)
    site.sync()
    site.check_records(changed)


def ten_times(site: Site, *, allows_optional: bool) -> Iterator[Row]:
    """How the cost of an unchanged sync grows with the organisation; after ``unchanged_sync`` of LARGE."""
    size = LARGE.times(10)
    data = identity_center(size)
    site.set_up(["identity-center"])
    site.play(data, allows_optional=allows_optional)
    site.sync()
    site.check_records(data)
    usage = site.sync()
    site.check_records(data)
    row = partial(_row, f"10 x LARGE {_label(allows_optional)}", "ploy-connector sync")
    if allows_optional in site.cpu_of_large:
        yield row("CPU / CPU of LARGE", [usage.cpu_seconds / site.cpu_of_large[allows_optional]], "times", 10.5)
    yield row("CPU", [usage.cpu_seconds], "s", None)
    yield row("peak memory", [usage.peak_megabytes], "MB", 120)
    _change(site, size, allows_optional=allows_optional)


def rate_limited(site: Site, size: Size, *, allows_optional: bool, rate_factor: float, bound: float) -> Iterator[Row]:
    """A first sync with AWS's rate limits and 30 ms for each call, beside the time that the rate limits leave.

    Args:
        site: Where.
        size: The organisation.
        allows_optional: Whether the role has the optional permissions.
        rate_factor: The operator's.
        bound: The most that the sync may take, in times of that limit; 1.5 s are added.
    """
    data = identity_center(size)
    site.set_up(["identity-center"])
    site.play(data, allows_optional=allows_optional, latency_seconds=_LATENCY_SECONDS, calls_per_second=_AWS_RATE)
    usage = site.sync(rate_factor=rate_factor)
    site.check_records(data)
    limits = {name: site.count(name) / (CALLS_PER_SECOND[client] * rate_factor) for name, client in _SERVICES.items()}
    busiest = max(limits, key=limits.__getitem__)
    limit, times = limits[busiest], site.report["times"][busiest]
    unused = 100 * (1 - limit / (times[-1] - times[0]))
    throttled = 100 * site.report["throttled"] / (site.count() + site.report["throttled"])
    of = f"of {size.users} people, 30 ms and 20 calls/s, {_label(allows_optional)}, factor {rate_factor:g}"
    row = partial(_row, f"Identity Center {of}", "ploy-connector sync")
    yield row("wall", [usage.seconds], "s", bound * limit + _START_SECONDS)
    yield row("limit", [limit], "s", None)
    yield row("our own rate, unused between its first and last call", [max(0.0, unused)], "%", 5)
    yield row("throttled", [throttled], "%", 0.5)
    _change(site, size, allows_optional=allows_optional)


def read_iam(site: Site) -> Iterator[Row]:
    """A sync of 5,000 IAM users and 5,000 roles."""
    data = iam(5_000, 5_000)
    site.set_up(["iam"])
    site.play(data)
    site.sync()
    usages = [site.sync() for _ in range(ROUNDS)]
    calls = site.count()
    for version in (0, 1):
        data = iam(5_000, 5_000, version)
        site.play(data)
        site.sync()
        found = {id_ for id_, *_ in site.sink.records()["account"]}
        holders = {f"{OWNER}/{each[f'{kind}Id']}" for kind in ("User", "Role") for each in data.iam[kind]}
        if holders | {"ec2.amazonaws.com"} != found:  # the service that may assume the roles
            raise RuntimeError(f"IAM: missing {sorted(holders - found)[:3]}, extra {sorted(found - holders)[:3]}")
    row = partial(_row, "IAM, 5,000 users and 5,000 roles", "ploy-connector sync")
    yield row("wall", [usage.seconds for usage in usages], "s", 6.0)
    yield row("AWS calls", [calls], "calls", 28)
    yield row("peak memory", [max(usage.peak_megabytes for usage in usages)], "MB", 120)


def million_grants(grants: int = 1_000_000, *, growth_of: int = 100_000) -> Iterator[Row]:
    """Comparing and pushing a million grants that did not change; and how the state file grows, with fewer of them."""
    command = [sys.executable, "-m", "benchmarks.million_grants"]
    usage = run_measured([*command, str(grants)], {})
    found = json.loads(usage.output)
    row = partial(_row, f"{grants:,} unchanged grants", "python -m benchmarks.million_grants")
    yield row("compare and push in full", [found["compare_seconds"] + found["push_full_seconds"]], "s", 15.0)
    yield row("of it CPU", [found["cpu_seconds"]], "s", None)
    yield row("compare and push as a delta", [found["compare_seconds"] + found["push_delta_seconds"]], "s", 15.0)
    yield row("peak memory", [usage.peak_megabytes], "MB", 120)
    growth = json.loads(run_measured([*command, str(growth_of), "10"], {}).output)["file_growth"]
    name = f"state file of {growth_of:,} after ten unchanged syncs / after the first"
    yield row(name, [growth], "times", 1.3)


def _label(allows_optional: bool) -> str:
    return "with the optional permissions" if allows_optional else "with the seed's policy"


def _row(scenario: str, command: str, name: str, values: list[float], unit: str, bound: float | None) -> Row:
    return Row(f"{scenario}: {name}", statistics.median(values), unit, bound, command, tuple(values))


Scenario = Callable[[Site], Iterator[Row]]

_WITHOUT_LATENCY: tuple[Scenario, ...] = (
    lambda _: help_start(),
    partial(unchanged_sync, size=LARGE, allows_optional=True),
    partial(unchanged_sync, size=LARGE, allows_optional=False),
    partial(ten_times, allows_optional=True),
    read_iam,
)


def _with_latency(size: Size) -> tuple[Scenario, ...]:
    return (
        partial(rate_limited, size=size, allows_optional=True, rate_factor=1.0, bound=75 / 66),
        partial(rate_limited, size=size, allows_optional=True, rate_factor=1.25, bound=62 / 53),
        partial(rate_limited, size=size, allows_optional=False, rate_factor=1.25, bound=1.05),
    )


SHORT: tuple[Scenario, ...] = (*_WITHOUT_LATENCY, lambda _: million_grants(), *_with_latency(LARGE.times(0.1)))
"""``make bench``: everything without latency at full size, the rate limits at a tenth."""

FULL: tuple[Scenario, ...] = (
    *_WITHOUT_LATENCY,
    partial(ten_times, allows_optional=False),
    lambda _: million_grants(growth_of=1_000_000),
    *_with_latency(LARGE),
)
"""``make bench-full``: everything at full size."""
