"""Tracks whether the role has been proven to require exactly this external ID.

Instances of one organisation that use the same role with the same external ID share the proof: it is made once in a
process and not once for each, and a role that one of them finds open is used by none of them.
"""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable
from weakref import WeakValueDictionary

from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import AuthenticationError, Check, ConnectionReport, TemporaryError

EXTERNAL_ID_REQUIRED = "external-id-required"
EXTERNAL_ID_EXACT = "external-id-exact"

PROVING_CHECKS = frozenset({EXTERNAL_ID_REQUIRED, EXTERNAL_ID_EXACT})
"""The checks that must have passed before the role is used."""

PROOF_LASTS_SECONDS = 24 * 3600.0
"""As long as the result of a day's connection test counts."""


class ExternalIdProof:
    """The proof for one role and external ID. Safe to use from several threads.

    Args:
        monotonic: The clock.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ensuring = threading.Lock()
        self._blocking: tuple[Check, ...] = ()
        self._blocked_at = -math.inf
        self._proven_until = -math.inf

    def ensure(self, prove: Callable[[], ConnectionReport]) -> None:
        """Raise unless the role is proven; make the proof where there is none or it has expired.

        Args:
            prove: Makes the checks of the proof.

        Raises:
            AuthenticationError: Other parties can assume the role, or this integration cannot.
            TemporaryError: The proof could not be made.
        """
        with self._ensuring:
            began = self.begin()
            report = None if self._is_settled else self.record(prove(), began)
            blocking, is_proven = self._blocking, self._is_proven
        if blocking:
            first = blocking[0]
            raise AuthenticationError(
                f"Stopped: the role can be assumed by parties other than this integration. {first.message}",
                fix=first.fix or "Fix the role's trust policy as the connection test states, and test again.",
                request_id=first.request_id,
            )
        if not is_proven:
            failed = next((check for check in report.checks if check.outcome != "passed"), None) if report else None
            raise TemporaryError(
                "The role is not used yet: no check has shown that only this integration can assume it. "
                f"{failed.message if failed else 'The check was not made.'}",
                fix=failed.fix if failed else None,
                request_id=failed.request_id if failed else None,
            )

    def begin(self) -> float:
        """Return the time at which a test begins, for ``record``."""
        return self._monotonic()

    def record(self, report: ConnectionReport, began: float) -> ConnectionReport:
        """Remember what a test shows about the role.

        Args:
            report: Its report.
            began: When it began, from ``begin``.

        Returns:
            The report.
        """
        passed = {check.name for check in report.checks if check.outcome == "passed"}
        with self._lock:
            # A test that began before the role was found open proves nothing about the time since.
            is_later = began >= self._blocked_at
            found = report.blockers(self._blocking) if is_later else (*self._blocking, *report.blockers())
            blocking = tuple({check.name: check for check in found}.values())
            if report.is_blocked:
                self._blocked_at = self._monotonic()
            if blocking:
                self._proven_until = -math.inf
            elif passed >= PROVING_CHECKS:
                self._proven_until = began + PROOF_LASTS_SECONDS
            self._blocking = blocking
        return report

    @property
    def _is_settled(self) -> bool:
        """Whether the proof would change nothing: only the full test can lift a block that the proof does not check."""
        with self._lock:
            is_blocked_otherwise = any(check.name not in PROVING_CHECKS for check in self._blocking)
        return is_blocked_otherwise or self._is_proven

    @property
    def _is_proven(self) -> bool:
        with self._lock:
            return self._monotonic() < self._proven_until


_lock = threading.Lock()
_proofs: WeakValueDictionary[tuple[str, str, str], ExternalIdProof] = WeakValueDictionary()


def proof_for(config: AwsConfig, organisation: str) -> ExternalIdProof:
    """Return the proof of the settings' role and external ID, shared while any instance of the organisation holds it.

    Args:
        config: The integration's settings.
        organisation: The owner of the integration.
    """
    secret = config.external_id.get_secret_value()
    key = (organisation, config.role_arn, hashlib.sha256(secret.encode()).hexdigest())
    with _lock:
        return _proofs.setdefault(key, ExternalIdProof())
