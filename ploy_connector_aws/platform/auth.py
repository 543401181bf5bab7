"""Ploy's token, and the check of the address that it is sent to."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from ploy_connector_aws.spec.errors import ConfigurationError

_LARGEST_TOKEN = 4096


class TokenSource:
    """The source of the token. A file is read at first use, and again after the platform rejected the token."""

    def __init__(
        self, *, token: SecretStr | None = None, file: Path | None = None, setting: str = "platform.token_file"
    ) -> None:
        """Take a token or a file.

        Args:
            token: The token itself.
            file: A file that holds it.
            setting: The setting that names the file, for errors.

        Raises:
            ConfigurationError: Both or neither were given, or the token is invalid.
        """
        if (token is None) == (file is None):
            raise ConfigurationError(
                "Give Ploy's token either as a value or as a file.",
                field="platform.token",
                fix="set platform.token_file, platform.token or PLOY_TOKEN",
            )
        self._file = file
        self._setting = setting
        self._token = None if token is None else _checked(token.get_secret_value(), "platform.token")

    def token(self) -> SecretStr:
        """Return the token.

        Raises:
            ConfigurationError: The file cannot be read, or holds no token.
        """
        if self._token is None:
            self._token = self._read()
        return self._token

    def renew(self) -> bool:
        """Read the file again after the token was rejected, and return whether the token has changed.

        Raises:
            ConfigurationError: The file cannot be read, or holds no token.
        """
        if self._file is None:
            return False
        rejected, self._token = self._token, self._read()
        return self._token != rejected

    def _read(self) -> SecretStr:
        assert self._file is not None
        try:
            with self._file.open("rb") as file:
                content = file.read(_LARGEST_TOKEN + 1)
        except OSError as error:
            raise ConfigurationError(
                f"{self._setting}: The token file {self._file} cannot be read: {error.strerror}.",
                field="platform.token_file",
                is_located=True,
            ) from None
        try:
            return _checked(content.decode("latin-1").strip(), "platform.token_file")
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{self._setting}: {error.message}", field=error.field, fix=error.fix, is_located=True
            ) from None


def _checked(token: str, field: str) -> SecretStr:
    # RFC 6750 b64token, as a header cannot carry anything else. The error must not repeat the token.
    if len(token) > _LARGEST_TOKEN or not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        raise ConfigurationError(
            "Ploy's token is empty or has invalid characters.",
            field=field,
            fix="copy the token from Ploy's integrations page again",
        )
    return SecretStr(token)


def checked_url(url: str) -> SplitResult:
    """Check the platform's address: https, or http on this machine, and no secret in it.

    Raises:
        ConfigurationError: A token must not be sent to it.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise _wrong_url("is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _wrong_url("is not an https address")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise _wrong_url("must have a host and a path only, and no credentials")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise _wrong_url("is not encrypted: use https for any other machine")
    return parts


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _wrong_url(reason: str) -> ConfigurationError:
    return ConfigurationError(f"Ploy's address {reason}.", field="platform.url")
