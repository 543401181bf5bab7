"""The checks behind a connection test: each says what was seen, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable

from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import Check, ConnectionReport, Failure, Serving

from .identity_center.instance import Instance, read_instance
from .paging import read
from .session import ReadSession


def diagnose(config: AwsConfig, serving: Serving | None = None) -> ConnectionReport:
    """Try, one after the other, what a sync begins with. Nothing is changed in AWS.

    Args:
        config: The integration's settings.
        serving: For whom it is tried.
    """
    session = ReadSession(config, "check", serving=serving)
    try:
        return ConnectionReport(checks=_Checks(session).make())
    finally:
        session.close()


class _Checks:
    """Checks that need each other: after a failed one, the rest is skipped."""

    def __init__(self, session: ReadSession) -> None:
        self._session = session
        self._instance: Instance | None = None

    def make(self) -> tuple[Check, ...]:
        made: list[Check] = []
        for name, check in (
            ("assume-role", self._assume_role),
            ("find-instance", self._find_instance),
            ("list-one-user", self._list_one_user),
        ):
            broken = next((each.name for each in made if each.outcome == "failed"), None)
            if broken is not None:
                made.append(Check(name=name, outcome="skipped", message=f"Not tried, as {broken} failed."))
            else:
                made.append(_try(name, check))
        return tuple(made)

    def _assume_role(self) -> Check:
        self._session.open()
        return Check(
            name="assume-role",
            outcome="passed",
            message=f"The role {self._session.config.role_arn} was assumed with its external ID.",
        )

    def _find_instance(self) -> Check:
        name = "find-instance"
        self._instance = read_instance(self._session)
        if self._instance is None:
            return Check(
                name=name,
                outcome="warning",
                message="The AWS account sees no IAM Identity Center instance in any Region, so there is nothing to "
                "read.",
                fix="Use the organization's management account, or a delegated administrator of IAM Identity Center.",
            )
        return Check(
            name=name,
            outcome="passed",
            message=f"The IAM Identity Center instance {self._instance.arn} was found; its primary Region is "
            f"{self._instance.primary_region}.",
        )

    def _list_one_user(self) -> Check:
        name = "list-one-user"
        if self._instance is None:
            return Check(name=name, outcome="skipped", message="Not tried, as there is no instance.")
        client = self._session.client("identitystore", self._instance.primary_region)
        users = read(client, "ListUsers", IdentityStoreId=self._instance.identity_store_id, MaxResults=1)["Users"]
        seen = "A user could be read." if users else "Users may be read, but there are none."
        return Check(name=name, outcome="passed", message=seen)


def _try(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - what went wrong on the other side is an answer of the test
        failure = Failure.from_error(error)
    return Check(
        name=name,
        outcome="failed",
        message=failure.message,
        fix=failure.fix,
        missing_permissions=failure.missing_permissions,
        request_id=failure.request_id,
    )
