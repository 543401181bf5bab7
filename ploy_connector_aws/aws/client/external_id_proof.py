"""Whether the role may be used: proven to be given out with its external id only, not proven, or given out otherwise.

Instances of one organisation that use the same role with the same external id share what is known of it, so that it is
proven once in a process and not once for each, and a role that one of them finds open is used by none of them.
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

REQUIRED = "external-id-required"
EXACT = "external-id-exact"

PROOF = frozenset({REQUIRED, EXACT})
"""The checks that must have passed before the role is used."""

PROOF_LASTS_SECONDS = 24 * 3600.0
"""As long as a day's connection test is believed."""


class ExternalIdProof:
    """What is known of one role with one external id. Safe to use from several threads.

    Args:
        monotonic: The clock.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._one_at_a_time = threading.Lock()
        self._blocking: tuple[Check, ...] = ()
        self._blocked_at = -math.inf
        self._proven_until = -math.inf

    def require(self, prove: Callable[[], ConnectionReport]) -> None:
        """Let the role be used only if it is proven; prove it now where that was not done, or too long ago.

        Args:
            prove: Makes the checks of the proof.

        Raises:
            AuthenticationError: The role is given out to others, or not at all.
            TemporaryError: That could not be found out.
        """
        with self._one_at_a_time:
            made = None if self._is_settled else self.learn(prove)
            blocking, is_proven = self._blocking, self._is_proven
        if blocking:
            first = blocking[0]
            raise AuthenticationError(
                f"Nothing is read or changed, as others than this integration could use the role. {first.message}",
                fix=first.fix or "Mend the role's trust policy as the connection test says, and make the test again.",
                request_id=first.request_id,
            )
        if not is_proven:
            unknown = next((check for check in made.checks if check.outcome != "passed"), None) if made else None
            raise TemporaryError(
                "The role is not used before it is proven to let in nobody but this integration. "
                f"{unknown.message if unknown else 'The proof was not made.'}",
                fix=unknown.fix if unknown else None,
                request_id=unknown.request_id if unknown else None,
            )

    def learn(self, test: Callable[[], ConnectionReport]) -> ConnectionReport:
        """Make a test, and remember what it shows of the role.

        Args:
            test: Makes it.
        """
        began = self._monotonic()
        report = test()
        passed = {check.name for check in report.checks if check.outcome == "passed"}
        with self._lock:
            # A test that began before the role was found open says nothing of the time since.
            is_later = began >= self._blocked_at
            found = report.blockers(self._blocking) if is_later else (*self._blocking, *report.blockers())
            blocking = tuple({check.name: check for check in found}.values())
            if report.is_blocked:
                self._blocked_at = self._monotonic()
            if blocking:
                self._proven_until = -math.inf
            elif passed >= PROOF:
                self._proven_until = began + PROOF_LASTS_SECONDS
            self._blocking = blocking
        return report

    @property
    def _is_settled(self) -> bool:
        """Whether the proof would show nothing new: what it does not look at, another test has to find mended."""
        with self._lock:
            is_blocked_otherwise = any(check.name not in PROOF for check in self._blocking)
        return is_blocked_otherwise or self._is_proven

    @property
    def _is_proven(self) -> bool:
        with self._lock:
            return self._monotonic() < self._proven_until


_lock = threading.Lock()
_known: WeakValueDictionary[tuple[str, str, str], ExternalIdProof] = WeakValueDictionary()


def proof_for(config: AwsConfig, organisation: str) -> ExternalIdProof:
    """Give what is known of the role of the settings, as long as anybody keeps it; another external id is another.

    Args:
        config: The integration's settings.
        organisation: Whose integration it is.
    """
    secret = config.external_id.get_secret_value()
    key = (organisation, config.role_arn, hashlib.sha256(secret.encode()).hexdigest())
    with _lock:
        return _known.setdefault(key, ExternalIdProof())
