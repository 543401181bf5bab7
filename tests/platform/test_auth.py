from pathlib import Path

import pytest
from pydantic import SecretStr

from ploy_connector_aws.platform.auth import TokenSource, checked_url
from ploy_connector_aws.spec import ConfigurationError

TOKEN = SecretStr("ploy_abc.DEF-123~/+==")


def test_token_is_the_given_one_or_that_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")

    assert TokenSource(token=TOKEN).token() == TOKEN
    assert TokenSource(file=file).token() == SecretStr("from-file")


def test_token_file_is_read_again_only_after_a_rejection(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    source = TokenSource(file=file)
    assert source.token() == SecretStr("one")

    file.write_text("two")

    assert source.token() == SecretStr("one")
    assert source.renew()
    assert source.token() == SecretStr("two")
    assert not source.renew()
    assert not TokenSource(token=TOKEN).renew()


@pytest.mark.parametrize("text", ["", "  \n", "two words", "new\nline", "ü", "x" * 5000])
def test_token_with_invalid_characters_is_rejected_without_repeating_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)

    with pytest.raises(ConfigurationError) as caught:
        TokenSource(file=file).token()

    assert caught.value.field == "platform.token_file"
    assert not text.strip() or text.strip() not in str(caught.value)


def test_exactly_one_source_of_the_token_is_required(tmp_path: Path) -> None:
    for arguments in ({}, {"token": TOKEN, "file": tmp_path}):
        with pytest.raises(ConfigurationError, match="either as a value or as a file"):
            TokenSource(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        TokenSource(file=tmp_path / "none").token()


def test_token_is_never_shown() -> None:
    source = TokenSource(token=TOKEN)

    assert TOKEN.get_secret_value() not in f"{source!r} {source} {source.token()!r} {vars(source)}"


@pytest.mark.parametrize(
    "url", ["https://api.example", "https://api.example:8443/base/", "http://127.0.0.1:80", "http://127.9.9.9",
            "http://[::1]:1", "http://localhost:1/x"]
)  # fmt: skip
def test_safe_address_is_accepted(url: str) -> None:
    assert checked_url(url).hostname


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.example", "is not encrypted"),
        ("http://localhost.example", "is not encrypted"),
        ("http://10.0.0.1", "is not encrypted"),
        ("http://0.0.0.0", "is not encrypted"),
        ("ftp://api.example", "is not an https address"),
        ("api.example", "is not an https address"),
        ("https://", "is not an https address"),
        ("https://user:s3cret@api.example", "must have a host and a path only, and no credentials"),
        ("https://api.example?token=s3cret", "must have a host and a path only, and no credentials"),
        ("https://api.example:port", "is not an address"),
        ("https://[::1", "is not an address"),
    ],
)
def test_unsafe_address_is_rejected(url: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        checked_url(url)

    assert "s3cret" not in str(caught.value)
