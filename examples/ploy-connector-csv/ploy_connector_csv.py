"""Ploy connector for a folder of CSV files: people.csv, groups.csv, and members.csv with who is in which group."""

from datetime import UTC, datetime
from functools import partial
from itertools import islice

from csv_folder import CsvFolder

from ploy_connector_aws import spec
from ploy_connector_aws.spec import AccessPath, Account, Entitlement, Grant, Page, TemporaryError, hookimpl

FILES = {  # the columns of each file, and what makes a record of a row: columns have the names of its fields
    "people": (["id", "username", "display_name", "status"], partial(Account, kind="human")),
    "groups": (["id", "name"], partial(Entitlement, kind="group", grantable=True)),
    "members": (["entitlement_id", "principal_id"], partial(Grant, principal_kind="account")),
}
UNLISTED = partial(Entitlement, kind="group", not_grantable_reason="It is not in groups.csv.")
FOLDER = {"type": "string", "title": "Folder", "description": "It has people.csv, groups.csv and members.csv."}
TEXT = tuple(f"The first line of {name}.csv is {','.join(columns)}" for name, (columns, _) in FILES.items())
STEP = spec.Step(id="files", title="Files", text=TEXT, fields=(spec.WizardField(name="folder"),), tests_connection=True)


class CsvConnector:
    """Each file is a scope: what is wrong in a file fails its scope, and the host then removes no record of it."""

    manifest = spec.Manifest(
        name="csv",
        title="CSV files",
        version="0.1.0",
        spec_version=spec.SPEC_VERSION,
        description="The people and the groups in a folder of CSV files.",
        config_schema={"properties": {"folder": FOLDER}, "required": ["folder"], "additionalProperties": False},
        labels=(spec.Label(record_type="account", kind="human", singular="employee", plural="employees"),),
        wizard=spec.Wizard(steps=(STEP,)),
    )

    @hookimpl
    def configure(self, config):
        self.folder = CsvFolder(config["folder"])

    @hookimpl
    def test_connection(self):
        return spec.ConnectionReport(checks=tuple(self.check(name) for name in FILES))

    @hookimpl
    def list_accounts(self):
        yield from self.pages("people", self.read("people"))

    @hookimpl
    def list_entitlements(self):
        yield from self.pages("groups", self.read("groups"))
        yield from self.pages("members", self.read("members"))
        yield from self.pages("unlisted", self.find_unlisted(), part="partial")

    @hookimpl
    def grant(self, request):
        return self.change(request, is_grant=True)

    @hookimpl
    def revoke(self, request):
        return self.change(request, is_grant=False)

    def read(self, name):
        return self.folder.read(f"{name}.csv", *FILES[name])

    def check(self, name):
        try:
            count = sum(1 for _ in self.read(name))
        except TemporaryError as error:
            return spec.Check(name=name, outcome="failed", message=error.message, fix=error.fix, code=error.code)
        return spec.Check(name=name, outcome="passed", message=f"{name}.csv has {count} rows.")

    def pages(self, scope, records, part="records"):
        """Yield the pages of a scope. Only one that was read to its end is complete."""
        try:
            while page := tuple(islice(records, 500)):
                yield Page(scope=scope, **{part: page})
            yield Page(scope=scope, complete=True)
        except TemporaryError as error:
            yield Page(scope=scope, failure=spec.Failure.from_error(error))

    def find_unlisted(self):
        """Yield the people and groups that only members.csv names, each once: a grant needs both its ends."""
        listed = {(record.record_type, record.id) for name in ("people", "groups") for record in self.read(name)}
        for edge in self.read("members"):
            for record in (Account(id=edge.principal_id), UNLISTED(id=edge.entitlement_id, name=edge.entitlement_id)):
                if (record.record_type, record.id) not in listed:
                    listed.add((record.record_type, record.id))
                    yield record

    def change(self, request, *, is_grant):
        """Write members.csv with the change and read it back, while no other process changes it."""
        edge = FILES["members"][1](entitlement_id=request.entitlement_id, principal_id=request.account_id)
        changed_nothing = True
        try:
            with self.folder.lock():
                members = list(self.read("members"))
                is_change = (edge in members) != is_grant
                for name, id_ in (("people", request.account_id), ("groups", request.entitlement_id)):
                    if edge not in members and all(record.id != id_ for record in self.read(name)):
                        raise spec.NotFoundError(f"{name}.csv has no {id_!r}.")
                if is_change and not request.preview:
                    if request.write_before and datetime.now(UTC) >= request.write_before:
                        raise TemporaryError("The time for the change is over.")
                    changed_nothing = False  # from here on, only reading the file again shows what is so
                    after = [*members, edge] if is_grant else [other for other in members if other != edge]
                    self.folder.replace("members.csv", FILES["members"][0], after)
                    if (edge in self.read("members")) != is_grant:
                        raise TemporaryError("members.csv does not show the change.")
        except (OSError, TemporaryError) as error:
            raise TemporaryError(f"The change failed: {error}", changed_nothing=changed_nothing) from error
        now, edges = datetime.now(UTC), (edge,) if is_change or not request.preview else ()
        paths = tuple(AccessPath(grants=(each,)) for each in edges)
        return spec.AccessChange(
            outcome="previewed" if request.preview else "applied" if is_change else "already_in_effect",
            verified_at=None if request.preview else now,
            scope="members",
            effects_complete=True,
            remaining_paths_complete=True,  # a group has no groups, so no other path leads to it
            as_of=now,
            has_sessions=False,
            **({"added": edges, "opened_paths": paths} if is_grant else {"removed": edges, "closed_paths": paths}),
        )
