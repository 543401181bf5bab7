"""Redaction: every encoding of a known secret is found, at every place and in every neighbourhood."""

from __future__ import annotations

import base64
import itertools
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from ploy_connector_aws.host.redaction import (
    _MOST_VIEWS,
    REDACTED,
    Redactor,
    _views,
    find_secrets,
    redact,
    redact_values,
    remember_secrets,
)

SECRETS = (
    "abcdefgh12345678",
    "s3cr3t-t0ken",
    'pä"ss\\wo/rd & +x\n',
    '\\\\"""\\\\/a',
    "abababab",
    "🔑key-密码-värde",
    "a b c d e",
    "#########",
    "-----BEGIN KEY-----\nMIIEow\nIBAAKC\n-----END KEY-----\n",
)


def encodings(secret: str) -> Iterator[tuple[str, str]]:
    """Every encoding of a secret, with its name."""
    once = urllib.parse.quote(secret, safe="")
    yield from (
        ("plain", secret),
        ("percent", once),
        ("percent, lower case", "".join(f"%{byte:02x}" for byte in secret.encode())),
        ("percent, slash kept", urllib.parse.quote(secret)),
        ("form", urllib.parse.quote_plus(secret)),
        ("percent twice", urllib.parse.quote(once, safe="")),
        ("JSON", json.dumps(secret)[1:-1]),
        ("JSON with all letters", json.dumps(secret, ensure_ascii=False)[1:-1]),
        ("JSON in JSON", json.dumps(json.dumps({"a": secret}))),
        ("JSON three times", json.dumps(json.dumps(json.dumps({"a": secret})))),
        ("JSON, slash escaped", json.dumps(secret)[1:-1].replace("/", "\\/")),
    )
    for before, after in itertools.product(range(3), repeat=2):
        data = b"u" * before + secret.encode() + b"v" * after
        encoded = base64.b64encode(data).decode()
        yield f"base64 {before} {after}", encoded
        yield f"base64 for URLs {before} {after}", base64.urlsafe_b64encode(data).decode()
        yield f"base64 in a URL {before} {after}", urllib.parse.quote(encoded, safe="")
        yield f"base64 in lines {before} {after}", base64.encodebytes(b"x" * 57 + data + b"y" * 50).decode()


def test_every_encoding_of_a_secret_is_redacted_and_found_in_records() -> None:
    wrong = []
    for secret in SECRETS:
        redactor = Redactor([secret])
        for name, encoded in encodings(secret):
            text = redactor.redact(f"before {encoded} after")
            if REDACTED not in text or secret in text or encoded in text or not text.startswith("before "):
                wrong.append(f"{secret!r} as {name}: {text!r}")
            if not redactor.is_in_body(json.dumps({"x": [encoded]}, ensure_ascii=False).encode()):
                wrong.append(f"{secret!r} as {name} was not found in a record")
            if not redactor.is_in(encoded):
                wrong.append(f"{secret!r} as {name} was not found in a name")
    assert not wrong, "\n".join(wrong)


def test_text_without_a_secret_is_unchanged() -> None:
    redactor = Redactor(SECRETS)
    for text in ("", "abcdefgh1234567", "people/abcdefg", "100 % of \\u0061", "s3cr3t t0ken", "\ud800", "YWJjZGVm"):
        assert (redactor.redact(text), redactor.is_in(text)) == (text, False)


@pytest.mark.parametrize(
    ("secrets", "text", "redacted"),
    [
        (["abcdefghij", "fghijklmno"], "x abcdefghijklmno y", f"x {REDACTED} y"),
        (["abcdefghij", "cdefghij"], "abcdefghij cdefghij", f"{REDACTED} {REDACTED}"),
        (["abababab"], "ababababab!", f"{REDACTED}!"),
        (["redacted"], "redacted", REDACTED),
        (["padded-secret\n"], "padded-secret", REDACTED),
        (["short-1"], "short-1", "short-1"),
        (["abcdefgh"], "abcdefghabcdefgh", f"{REDACTED}{REDACTED}"),
    ],
)
def test_overlapping_secrets_are_all_redacted(secrets: list[str], text: str, redacted: str) -> None:
    assert Redactor(secrets).redact(text) == redacted


def test_secrets_are_found_by_the_schema_at_any_depth() -> None:
    secret = {"type": "string", "writeOnly": True}
    schema: dict[str, Any] = {
        "properties": {
            "token": secret,
            "keys": {"type": "array", "items": secret},
            "proxy": {"type": "object", "properties": {"user": {"type": "string"}, "password": secret}},
            "whole": {"type": "object", "writeOnly": True},
            "pin": {"type": "integer", "writeOnly": True},
            "broken": 5,
        }
    }
    config = {
        "token": "t",
        "keys": ["k1", "k2"],
        "proxy": {"user": "u", "password": "p"},
        "whole": {"a": ["w"]},
        "pin": 12345678,
        "broken": "b",
        "unknown": "u",
    }
    found = [*find_secrets(schema, config)]
    assert found == [
        *(("token", "t"), ("keys", "k1"), ("keys", "k2"), ("proxy", "p"), ("whole", "w"), ("pin", "12345678")),
    ]
    assert [*find_secrets({"properties": None}, config)] == []


def test_known_secrets_are_redacted_in_values_and_names() -> None:
    remember_secrets(["test-redaction-known-secret"])
    assert redact("a test-redaction-known-secret") == f"a {REDACTED}"
    assert redact_values({"test-redaction-known-secret": [1, None, "x test-redaction-known-secret"]}) == {
        REDACTED: [1, None, f"x {REDACTED}"]
    }


def test_search_decodes_a_bounded_number_of_views() -> None:
    """With a regular expression for each secret the last of these texts took years."""
    hostile = '\\"' * 40 + "abcd"
    redactor = Redactor([*SECRETS, hostile])
    texts = ("\\" * 50_000, "%25" * 20_000, "ab" * 50_000 + "%", "a%0A" * 20_000, 'pä"' * 20_000, "YWJj" * 20_000)
    for text in (*texts, '\\\\\\"' * 40 + "x abcd"):
        views = _views(text)
        assert len(views) <= _MOST_VIEWS
        assert max(len(view.text) for view in views) == len(text)
        redactor.redact(text)  # it ends
