"""The check over the whole run finds planted violations, with workers and without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ploy_connector_aws.sandbox.aws import Call
from tests.aws_calls import LISTED, complaints, to_noted

CREATE = "identitystore:CreateGroupMembership"
ROOT = Path(__file__).parent.parent

PLANTED = """
import pytest
from tests.sandbox.aws.customer import Customer, as_credentials
from ploy_connector_aws.sandbox.aws import Organisation, SandboxAws

@pytest.mark.parametrize(("operation", "session"), {calls!r})
def test_call(operation, session):
    with SandboxAws() as aws:
        customer = Customer(aws)
        aws.seed(Organisation(customer.account_id))
        credentials = customer.assume(customer.role(), RoleSessionName=session)
        client = customer.client("iam", credentials)
        getattr(client, operation)()
        client.close()
"""


def run(folder: Path, calls: list[tuple[str, str]], *options: str) -> subprocess.CompletedProcess[str]:
    """Run planted tests, each of an operation in a session, under the hooks of this test run."""
    (folder / "test_planted.py").write_text(PLANTED.format(calls=calls))
    (folder / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (folder / "pytest.ini").write_text("[pytest]\n")
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *options,
            "--rootdir",
            str(folder),
            str(folder),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("options", [("-n", "1"), pytest.param((), marks=pytest.mark.soak)])
def test_a_call_outside_of_the_policy_or_of_its_session_makes_the_run_fail(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    calls = [("get_user", "ploy-sync-0123456789ab"), ("list_users", "ploy-grant-0123456789ab")]
    done = run(tmp_path, calls, *options)

    assert "The connector called iam:ListUsers in a session for grant, which it must not." in done.stdout, done.stdout
    assert "The connector called iam:GetUser in a session for sync, which it must not." in done.stdout, done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize("options", [(), pytest.param(("-n", "2"), marks=pytest.mark.soak)])
def test_calls_of_other_sessions_are_not_the_connectors(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run(tmp_path, [("list_users", "ploy-sync-1"), ("list_roles", "ploy-sync-1")], *options)

    assert (done.returncode, done.stderr) == (0, "")
    assert "AWS calls" not in done.stdout


def test_a_run_of_all_tests_must_have_called_everything() -> None:
    assert complaints(LISTED, is_whole_run=True) == []
    assert complaints(LISTED - {"ec2:DescribeTags"}, is_whole_run=True) == [
        "No test made the connector call ec2:DescribeTags."
    ]
    assert complaints(LISTED - {"ec2:DescribeTags"}, is_whole_run=False) == []


@pytest.mark.parametrize(
    ("session", "status", "noted"),
    [
        ("ploy-probe-0123456789ab", 400, CREATE),
        ("ploy-probe-0123456789ab", 200, f"{CREATE} in a session for probe"),
        ("ploy-grant-0123456789ab", 200, CREATE),
        ("ploy-check-0123456789ab", 400, f"{CREATE} in a session for check"),
        ("ploy-refuse-0123456789ab", 400, f"{CREATE} in a session for refuse"),
        (None, 200, None),
    ],
)
def test_a_probe_that_was_carried_out_is_no_probe(session: str | None, status: int, noted: str | None) -> None:
    call = Call("identitystore", "", CREATE, "111122223333", None, session, "eu-west-1", "key", status, None, {})

    assert to_noted(call) == noted
