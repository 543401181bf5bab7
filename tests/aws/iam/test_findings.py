"""What a reading of IAM remembers until its end."""

from __future__ import annotations

from ploy_connector_aws.aws.iam.spool import Edge, Spool


def test_values_are_found_by_kind_and_name_and_the_last_one_counts() -> None:
    findings = Spool()
    findings.add("user", [("arn:1", "one"), ("arn:2", "two")])
    findings.add("role", [("arn:1", "another")])
    findings.add("user", [("arn:1", "uno")])

    assert findings.find("user", ["arn:1", "arn:2", "arn:3", "arn:1"]) == {"arn:1": "uno", "arn:2": "two"}
    assert list(findings.each("user")) == [("arn:1", "uno"), ("arn:2", "two")]
    assert findings.find("user", []) == {}


def test_many_names_are_found_at_once() -> None:
    findings = Spool()
    names = [f"name-{number}" for number in range(1201)]
    findings.add("group", ((name, name.upper()) for name in names))

    assert findings.find("group", names) == {name: name.upper() for name in names}


def test_an_edge_meets_what_it_names_whenever_that_comes() -> None:
    findings = Spool()
    to_group = Edge("membership", "group", "staff", "user-1", {})
    to_role = Edge("assuming", "role", "arn:role", "role-2", {"flags": ["x"]})
    to_nobody = Edge("assuming", "user", "arn:role", "role-2", {})
    findings.add_edges([to_group, to_role, to_nobody])
    findings.add("group", [("staff", "group-1")])
    findings.add("role", [("arn:role", "role-1")])

    assert list(findings.edges("membership")) == [[(to_group, "group-1")]]
    assert list(findings.edges("assuming")) == [[(to_role, "role-1"), (to_nobody, None)]]


def test_edges_come_some_at_a_time_and_none_is_lost() -> None:
    findings = Spool()
    findings.add_edges(Edge("membership", "group", f"g{number}", "user", {}) for number in range(1201))
    given = list(findings.edges("membership"))

    assert [edge.name for some in given for edge, _ in some] == [f"g{number}" for number in range(1201)]
    assert max(len(some) for some in given) < 1201
