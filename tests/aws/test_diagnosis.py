"""The checks of a connection test, over HTTP from the local AWS."""

from __future__ import annotations

from ploy_connector_aws.spec import Check
from tests.aws.conftest import Customer


def outcomes(customer: Customer, **settings: str) -> dict[str, str]:
    report = customer.connector(**settings).test_connection()
    return {check.name: check.outcome for check in report.checks}


def test_a_good_integration_passes_every_check(customer: Customer) -> None:
    report = customer.connector().test_connection()

    assert report.is_usable
    assert report.checks == (
        Check(
            name="assume-role",
            outcome="passed",
            message=f"The role {customer.settings['role_arn']} was assumed with its external ID.",
        ),
        Check(
            name="find-instance",
            outcome="passed",
            message=f"The IAM Identity Center instance {customer.seeded.instance_arn} was found; its primary Region "
            "is eu-west-1.",
        ),
        Check(name="list-one-user", outcome="passed", message="A user could be read."),
    )
    assert {call.session_name for call in customer.aws.calls.to("ListUsers")} != {None}
    assert all((call.session_name or "ploy-check-").startswith("ploy-check-") for call in customer.aws.calls)


def test_after_a_failed_check_the_others_are_skipped_with_the_reason(customer: Customer) -> None:
    report = customer.connector(external_id="another-external-id-0001").test_connection()

    assert not report.is_usable
    assert [(check.name, check.outcome) for check in report.checks] == [
        ("assume-role", "failed"),
        ("find-instance", "skipped"),
        ("list-one-user", "skipped"),
    ]
    assert report.checks[0].fix is not None
    assert report.checks[2].message == "Not tried, as assume-role failed."


def test_a_missing_permission_is_named_with_its_statement(customer: Customer) -> None:
    customer.aws.faults.deny("identitystore:ListUsers")
    check = customer.connector().test_connection().checks[-1]

    assert (check.outcome, check.missing_permissions) == ("failed", ("identitystore:ListUsers",))
    assert check.fix == (
        'Add this statement to the role\'s policy: {"Effect":"Allow","Action":["identitystore:ListUsers"],'
        '"Resource":"*"}'
    )
    assert check.request_id


def test_no_instance_is_a_warning(customer: Customer) -> None:
    customer.seeded.remove_instance()

    assert outcomes(customer) == {"assume-role": "passed", "find-instance": "warning", "list-one-user": "skipped"}


def test_a_denied_search_is_no_missing_instance(customer: Customer) -> None:
    customer.aws.faults.deny("sso:ListInstances")

    assert outcomes(customer) == {"assume-role": "passed", "find-instance": "failed", "list-one-user": "skipped"}
