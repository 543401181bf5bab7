"""Random IAM accounts: small ones, with or without each kind of resource."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from ploy_connector_aws.sandbox.aws import IamAccount, IamGroup, IamPolicy, IamRole, IamUser
from ploy_connector_aws.sandbox.aws.iam_account import OWN_ACCOUNT, Document, allowing, provisioned_role, trusting

AWS_POLICIES = ["arn:aws:iam::aws:policy/ReadOnlyAccess", "arn:aws:iam::aws:policy/AdministratorAccess"]
OWN = f"arn:aws:iam::{OWN_ACCOUNT}"
PERMISSION_SETS = ["Administrator", "Reader"]
_MOMENTS = st.none() | st.datetimes(datetime(2025, 1, 1), datetime(2026, 1, 1)).map(  # noqa: DTZ001 - made aware
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
_PATHS = st.sampled_from(["/", "/teams/", "/a/b/"])
_DOCUMENTS = st.sampled_from(
    [allowing("s3:GetObject"), allowing("iam:*"), allowing("sqs:*", resource="arn:aws:sqs:::q")]
)
_TAGS = st.dictionaries(st.sampled_from(["type", "team"]), st.sampled_from(["human", "bot", "web", ""]), max_size=2)


def _some(names: list[str], most: int = 3) -> st.SearchStrategy[tuple[str, ...]]:
    chosen = st.lists(st.sampled_from(names), unique=True, max_size=most) if names else st.just([])
    return chosen.map(tuple)


def _named(draw: st.DrawFn, stem: str) -> list[str]:
    return [f"{stem}{number}" for number in range(draw(st.integers(0, 4)))]


@st.composite
def iam_accounts(draw: st.DrawFn) -> IamAccount:
    """An account whose resources refer to each other at random."""
    policies, groups, users, roles = (_named(draw, stem) for stem in ("policy", "group", "user", "role"))
    attachable = _some([*policies, *AWS_POLICIES])
    boundary = st.sampled_from([None, *policies, *AWS_POLICIES])
    inline = st.dictionaries(st.sampled_from(["own", "more"]), _DOCUMENTS, max_size=2)
    trusted = _some(
        [
            *(f"AWS {OWN}:user/{name}" for name in users),
            *(f"AWS {OWN}:role/{name}" for name in roles),
            f"AWS {OWN}:root",
            "AWS arn:aws:iam::999999999999:root",
            "AWS arn:aws:iam::999999999999:role/theirs",
            "Service ec2.amazonaws.com",
            f"Federated {OWN}:saml-provider/idp",
        ],
        most=4,
    )
    return IamAccount(
        policies=tuple(IamPolicy(name, draw(_DOCUMENTS), draw(_PATHS)) for name in policies),
        groups=tuple(IamGroup(name, draw(_PATHS), draw(attachable), draw(inline)) for name in groups),
        # The path is "/", so that trust policies can name the users and roles.
        users=tuple(
            IamUser(
                name,
                "/",
                draw(_some(groups)),
                draw(attachable),
                draw(inline),
                draw(boundary),
                draw(_TAGS),
                password_last_used=draw(_MOMENTS),
            )
            for name in users
        ),
        roles=(
            *(
                IamRole(
                    name,
                    _trust(draw(trusted)),
                    "/",
                    draw(st.none() | st.just("Described")),
                    draw(attachable),
                    draw(inline),
                    draw(boundary),
                    draw(_TAGS),
                    last_used=draw(_MOMENTS),
                    max_session_seconds=draw(st.sampled_from([3600, 43200])),
                    instance_profiles=(f"in-{name}",) if draw(st.booleans()) else (),
                )
                for name in roles
            ),
            *(provisioned_role(name) for name in draw(_some([*PERMISSION_SETS, "Gone"]))),
        ),
    )


def _trust(principals: tuple[str, ...]) -> Document:
    """One statement for each principal; a role without any trusts a service that does not exist."""
    actions = {"Federated": "sts:AssumeRoleWithSAML"}
    named = [each.split(" ", 1) for each in principals] or [["Service", "unused.amazonaws.com"]]
    return trusting(
        *(
            {"Effect": "Allow", "Principal": {kind: name}, "Action": actions.get(kind, "sts:AssumeRole")}
            for kind, name in named
        )
    )
