"""Order, sizes and repetition of batches do not change the snapshot."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ploy_connector_aws.graph.values import StoredRecord
from ploy_connector_aws.platform import wire

from .conftest import DENIED, USERS, Customer, Line, account, split

BEFORE: list[Line] = [USERS, wire.ScopeLine(name="teams", ending="complete"), account("u1"), account("u2")]
BEFORE += [account("u3", scopes=("teams",)), account("u4", scopes=("teams",)), account("u5")]

LINES: list[Line] = [
    USERS,
    wire.ScopeLine(name="users/1", parent="users", ending="complete"),
    wire.ScopeLine(name="teams", ending="failed", failure=DENIED),
    account("u1", scopes=("users", "users/1"), display_name="One"),
    account("u3", scopes=("teams",)).model_copy(update={"partial": True}),
    account("u6"),
    wire.TombstoneLine(type="account", id="u5"),
]

ANSWER = wire.CommitAnswer(
    status="committed",
    generation=2,
    added={"account": 1},
    changed={"account": 1},
    removed={"account": 2},
    retained_unproven={"account": 1},
    unproven_scopes=1,
)
RECORDS = [
    StoredRecord("account", "u1", ("users", "users/1"), b'{"id":"u1","display_name":"One"}', False, False),
    StoredRecord("account", "u3", ("teams",), b'{"id":"u3"}', True, False),
    StoredRecord("account", "u4", ("teams",), b'{"id":"u4"}', True, True),
    StoredRecord("account", "u6", ("users",), b'{"id":"u6"}', False, False),
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_order_split_and_repetition_of_batches_do_not_change_the_snapshot(acme: Customer, data: st.DataObject) -> None:
    each = replace(acme, id=acme.ploy.registry.create_integration(acme.organisation_id, "aws").id)
    each.sync(*BEFORE)
    acme.clock.pass_by(minutes=1)
    sync_id = each.open()
    batches = split(data.draw(st.permutations(LINES)), data.draw(st.integers(1, len(LINES))))
    numbers = range(1, len(batches) + 1)
    sent = data.draw(st.permutations([*numbers, *data.draw(st.lists(st.sampled_from(numbers), max_size=4))]))

    bodies = [wire.pack(batch) for batch in batches]
    for number in sent:
        each.client.put_batch(each.id, sync_id, number, bodies[number - 1])
    commit = each.commit_of(LINES, [wire.digest_of(body) for body in bodies])

    assert each.client.commit(each.id, sync_id, commit) == ANSWER
    assert list(each.ploy.view(each.id).records()) == RECORDS
