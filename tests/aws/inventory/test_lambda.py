"""Lambda functions: with the role they run as, and without what is in their environment."""

from __future__ import annotations

from ploy_connector_aws.sandbox.aws.inventory.resources import Function
from ploy_connector_aws.spec import Resource
from ploy_connector_aws.spec.records import to_json
from tests.aws.conftest import REGION
from tests.aws.inventory.conftest import Owner

SECRET = "hunter2-in-the-environment"


def test_a_function_becomes_a_resource_with_its_runtime_and_role(owner: Owner) -> None:
    owner.put(functions=(Function("resize", "resizer", "python3.13"), Function("scan", "scanner", None)))

    assert owner.read("lambda/functions").of("resource", "lambda_function") == {
        owner.arn("lambda", f"function:{name}"): Resource(
            id=owner.arn("lambda", f"function:{name}"),
            kind="lambda_function",
            name=name,
            parent_id=owner.account_id,
            region=REGION,
            attributes={
                **runtime,
                "role_arn": f"arn:aws:iam::{owner.account_id}:role/{role}",
                "role_known": False,  # IAM is not read here
                "tags_known": False,
            },
        )
        for name, role, runtime in (
            ("resize", "resizer", {"runtime": "python3.13", "package_type": "Zip"}),
            # A container image has no runtime.
            ("scan", "scanner", {"package_type": "Image"}),
        )
    }


def test_what_is_in_the_environment_reaches_no_record(owner: Owner) -> None:
    owner.put(functions=(Function("resize", environment={"DATABASE_PASSWORD": SECRET}),))
    pages = list(owner.read_pages(scopes=["lambda/functions"]))

    text = b"".join(to_json(record) for page in pages for record in page.records).decode() + repr(pages)
    assert "function:resize" in text
    assert SECRET not in text
    assert "DATABASE_PASSWORD" not in text


def test_optional_members_may_be_missing(owner: Owner) -> None:
    owner.put(functions=(Function("resize"),))
    owner.faults.leave_out("ListFunctions", "Runtime", "Role", "PackageType", "Environment")
    (function,) = owner.read("lambda/functions").of("resource", "lambda_function").values()

    assert function.attributes == {"tags_known": False}


def test_pages_of_fifty_are_asked_for(owner: Owner) -> None:
    """AWS.md 1.1: more is taken and not given."""
    owner.put(functions=tuple(Function(f"function-{number:03}") for number in range(120)))

    assert len(owner.read("lambda/functions").of("resource", "lambda_function")) == 120
    assert len(owner.customer.aws.calls.to("ListFunctions")) == 3
