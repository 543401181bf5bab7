"""Random organisations, and random changes of them."""

from __future__ import annotations

from hypothesis import strategies as st

from ploy_connector_aws.sandbox.aws import (
    Account,
    Assignment,
    CustomerManagedPolicy,
    ExternalId,
    Group,
    Organisation,
    PermissionSet,
    Person,
)

_NAMES = [f"person-{number}" for number in range(8)]
_GROUPS = [f"group-{number}" for number in range(5)]
_SETS = [f"set-{number}" for number in range(4)]
_ACCOUNTS = ["300000000001", "300000000002", "300000000003"]
_ISSUED = st.just((ExternalId("https://scim.aws.com/0f", "x"),))


def _people(names: list[str]) -> st.SearchStrategy[tuple[Person, ...]]:
    person = st.builds(
        Person,
        user_name=st.just(""),
        email=st.none() | st.just("someone@example.com"),
        title=st.none() | st.sampled_from(["Engineer", "Ärztin"]),
        status=st.sampled_from(["ENABLED", "DISABLED", None]),
        external_ids=st.just(()) | _ISSUED,
    )
    return st.tuples(*(person.map(lambda each, name=name: _named(each, name)) for name in names))  # type: ignore[misc]


def _named(person: Person, name: str) -> Person:
    return Person(name, email=person.email, title=person.title, status=person.status, external_ids=person.external_ids)


@st.composite
def organisations(draw: st.DrawFn) -> Organisation:
    """A small organisation with every kind of thing in it, or without any."""
    names = draw(st.lists(st.sampled_from(_NAMES), unique=True))
    groups = draw(st.lists(st.sampled_from(_GROUPS), unique=True))
    sets = draw(st.lists(st.sampled_from(_SETS), unique=True))
    some_people = st.lists(st.sampled_from(names), unique=True) if names else st.just([])
    assignments: set[Assignment] = set()
    for principals, to_group in ((names, False), (groups, True)):
        if principals and sets:
            row = st.builds(
                Assignment,
                account_id=st.sampled_from(_ACCOUNTS),
                permission_set=st.sampled_from(sets),
                principal=st.sampled_from(principals),
                to_group=st.just(to_group),
            )
            assignments |= draw(st.sets(row, max_size=8))
    return Organisation(
        owner_account_id="",
        people=draw(_people(names)),
        groups=tuple(
            Group(
                name,
                description=draw(st.none() | st.just("described")),
                members=tuple(draw(some_people)),
                external_ids=draw(st.just(()) | _ISSUED),
            )
            for name in groups
        ),
        permission_sets=tuple(
            PermissionSet(
                name,
                managed_policies=draw(st.just(()) | st.just(("arn:aws:iam::aws:policy/ReadOnlyAccess",))),
                customer_managed_policies=draw(st.just(()) | st.just((CustomerManagedPolicy("own", "/a/"),))),
            )
            for name in sets
        ),
        accounts=tuple(Account(id, f"account {id[-1]}") for id in _ACCOUNTS),
        assignments=tuple(sorted(assignments, key=repr)),
    )
