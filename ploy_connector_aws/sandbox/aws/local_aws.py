"""``SandboxAws``, the local AWS: starts, is seeded, injects faults and records calls."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self, Unpack

from moto.core.base_backend import BackendDict, backend_lock

from .accounts import (
    ASSUME_ANY_ROLE,
    PLOY_ACCOUNT_ID,
    PLOY_USER_NAME,
    AccessKey,
    Accounts,
    RoleOptions,
    ploy_trust_policy,
)
from .application import Application
from .calls import Calls
from .faults import Faults
from .iam_account import IamAccount
from .iam_seeding import SeededIam
from .instances import Instances
from .inventory.resources import Resources
from .organisation import Organisation
from .seeding import SeededOrganisation
from .server import LoopbackServer

if TYPE_CHECKING:
    from .inventory.seeding import SeededResources

_account_numbers = itertools.count(200_000_000_000)


def fresh_account_id() -> str:
    """An account id that is unused in this process: isolates one organisation from all others."""
    return str(next(_account_numbers))


class SandboxAws:
    """A local AWS on 127.0.0.1, one endpoint for every service.

    All of them in one process share moto's state, so each organisation needs its own account ids
    (`fresh_account_id`).

    Args:
        now: the clock by which sessions expire.
        call_limit: how many of the last calls `calls` keeps; 0 records none.
        monotonic: the clock of the rate quotas, in seconds.
    """

    def __init__(
        self,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        call_limit: int = 20_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.faults = Faults(monotonic)
        self.calls = Calls(call_limit)
        self.accounts = Accounts()
        self._instances = Instances()
        self._seeded: Counter[tuple[str, str]] = Counter()
        self._seeded_iam: dict[str, SeededIam] = {}
        self.caller_credentials: AccessKey = self._create_caller()
        calls = self.calls if call_limit else None
        self._application = Application(self.accounts, self._instances, self.faults, calls, now)
        self._server: LoopbackServer | None = None

    def start(self) -> None:
        """Listens on a free port."""
        self._server = LoopbackServer(self._application.answer)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="sandbox-aws", daemon=True
        ).start()

    def stop(self) -> None:
        """Closes the port and all connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        """Starts."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops."""
        self.stop()

    @property
    def endpoint_url(self) -> str:
        """The value for `AWS_ENDPOINT_URL`."""
        if self._server is None:
            raise RuntimeError("The local AWS is not running.")
        return self._server.url

    def seed(self, organisation: Organisation) -> SeededOrganisation:
        """Seeds an organisation.

        Another one of the same account and Region replaces the first, and gets other ids.
        """
        place = organisation.owner_account_id, organisation.primary_region
        self._seeded[place] += 1
        for instance in self._instances:
            if place == (instance.owner_account_id, instance.primary_region):
                self._instances.remove(instance)
        for account_id in (organisation.owner_account_id, *(account.id for account in organisation.accounts)):
            self.accounts.add(account_id)
        self._seed_organization(organisation)
        self.seed_iam(organisation.owner_account_id, organisation.iam)
        if organisation.resources != Resources():
            self._resources(*place).replace(organisation.resources)
        return SeededOrganisation(organisation, self._instances, self.accounts.lock, self._seeded[place])

    def _seed_organization(self, organisation: Organisation) -> None:
        """Seed the names of the accounts. An account instance needs no organization, so its account is in none."""
        owner = organisation.owner_account_id
        self.accounts.organizations.remove(owner)
        if organisation.kind == "organization":
            names = {owner: "Management", **{each.id: each.name for each in organisation.accounts}}
            self.accounts.organizations.set(owner, names, organisation.delegated_administrators)

    def seed_iam(self, account_id: str, account: IamAccount) -> SeededIam:
        """Seeds users, groups, roles and policies into an account, in place of those seeded before."""
        place = account_id, "iam"
        self._seeded[place] += 1
        if account_id in self._seeded_iam:
            self._seeded_iam[account_id].remove()
        self.accounts.add(account_id)
        made = SeededIam(account_id, account, self.accounts.lock, self._seeded[place])
        self._seeded_iam[account_id] = made
        return made

    def add_resources(self, account_id: str, region: str, resources: Resources) -> SeededResources:
        """Adds resources to an account."""
        self.accounts.add(account_id)
        seeded = self._resources(account_id, region)
        seeded.add(resources)
        return seeded

    def create_integration_role(
        self,
        account_id: str,
        external_id: str,
        role_name: str = "Ploy",
        policy: Mapping[str, Any] | None = None,
        **options: Unpack[RoleOptions],
    ) -> str:
        """Creates the customer's role for Ploy, which trusts Ploy's account with this external id.

        Returns:
            The role's ARN.
        """
        return self.accounts.create_role(account_id, role_name, ploy_trust_policy(external_id), policy, **options)

    def reset(self) -> None:
        """Empties moto, for every local AWS of this process, and creates Ploy's own caller again."""
        with self.accounts.lock:
            _drop_all()
            for instance in self._instances:
                self._instances.remove(instance)
            self._seeded_iam.clear()
            self.faults.reset()
            self.calls.clear()
            self.caller_credentials = self._create_caller()

    def _resources(self, account_id: str, region: str) -> SeededResources:
        from .inventory.seeding import SeededResources

        return SeededResources(account_id, region, self.accounts)

    def _create_caller(self) -> AccessKey:
        return self.accounts.create_user(PLOY_ACCOUNT_ID, PLOY_USER_NAME, ASSUME_ANY_ROLE)


def _drop_all() -> None:
    """Drop everything that moto holds, in every account.

    moto's own reset makes each backend of each account again before it drops it, which takes minutes where there are
    many accounts. Only S3 holds what must be closed: files.
    """
    with backend_lock:
        for service in BackendDict._instances:  # type: ignore[misc]
            if service.service_name == "s3":
                for _, _, backend in service.iter_backends():
                    backend.reset()
            service.clear()
        BackendDict._instances.clear()  # type: ignore[misc]
