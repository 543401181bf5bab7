"""Seeds resources into moto's state, and changes them as their owners would."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.dynamodb.models import dynamodb_backends
from moto.ec2.models import ec2_backends
from moto.ec2.models.amis import AmiBackend
from moto.ec2.models.instances import Instance
from moto.ecs.models import ecs_backends
from moto.rds.models import rds_backends
from moto.s3.models import s3_backends
from moto.sqs.models import sqs_backends

from ploy_connector_aws.sandbox.aws.accounts import Accounts
from ploy_connector_aws.sandbox.aws.principals import PARTITION, iam

from .ec2 import STATE_CODES
from .resources import Bucket, Cluster, Database, Function, Queue, Resources, Server, Table


def _load_no_images(self: AmiBackend) -> None:
    """Leave out moto's 1,300 public images, which take a second for each account and Region: no call lists them."""


AmiBackend._load_amis = _load_no_images  # type: ignore[method-assign]

_REGIONAL: tuple[Any, ...] = (
    dynamodb_backends,
    sqs_backends,
    lambda_backends,
    rds_backends,
    ec2_backends,
    ecs_backends,
)


class SeededResources:
    """The resources of one account and Region in the local AWS, and the means to change them.

    `servers` maps the keys of EC2 instances to the ids that they got.
    """

    def __init__(self, account_id: str, region: str, accounts: Accounts) -> None:
        self.account_id = account_id
        self.region = region
        self.servers: dict[str, str] = {}
        self._instances: dict[str, Instance] = {}
        self._accounts = accounts

    def add(self, resources: Resources) -> None:
        """Adds resources."""
        with self._accounts.lock:
            additions: tuple[tuple[Callable[[Any], None], Iterable[Any]], ...] = (
                (self._add_bucket, resources.buckets),
                (self._add_table, resources.tables),
                (self._add_queue, resources.queues),
                (self._add_function, resources.functions),
                (self._add_database, resources.databases),
                (self._add_server, resources.servers),
                (self._add_cluster, resources.clusters),
            )
            for add, rows in additions:
                for row in rows:
                    add(row)

    def delete_table(self, name: str) -> None:
        """Deletes a DynamoDB table."""
        with self._accounts.lock:
            del dynamodb_backends[self.account_id][self.region].tables[name]

    def delete_database(self, name: str) -> None:
        """Deletes an RDS instance."""
        with self._accounts.lock:
            del rds_backends[self.account_id][self.region].databases[name]

    def delete_cluster(self, name: str) -> None:
        """Deletes an ECS cluster for good; AWS shows it as INACTIVE for a while before."""
        with self._accounts.lock:
            del ecs_backends[self.account_id][self.region].clusters[name]

    def terminate(self, key: str) -> None:
        """Terminates an EC2 instance; the list keeps it for about an hour (AWS.md 1.2)."""
        with self._accounts.lock:
            _set_state(self._instances[key], "terminated")

    def replace(self, resources: Resources) -> None:
        """Replaces all resources of the account and Region."""
        with self._accounts.lock:
            for backends in _REGIONAL:
                backends[self.account_id].pop(self.region, None)
            s3_backends[self.account_id][PARTITION].buckets.clear()
            self.servers.clear()
            self._instances.clear()
            self.add(resources)

    def _add_bucket(self, bucket: Bucket) -> None:
        # Bucket names are unique in all of AWS; here they are unique per account only.
        s3_backends.bucket_accounts.pop(bucket.name, None)
        made = s3_backends[self.account_id][PARTITION].create_bucket(bucket.name, bucket.region or self.region)
        made.creation_date = bucket.created_at

    def _add_table(self, table: Table) -> None:
        dynamodb_backends[self.account_id][self.region].create_table(
            name=table.name,
            schema=[{"AttributeName": "id", "KeyType": "HASH"}],
            attr=[{"AttributeName": "id", "AttributeType": "S"}],
            billing_mode="PAY_PER_REQUEST",
            throughput=None,
            global_indexes=None,
            indexes=None,
            streams=None,
            sse_specification=None,
            tags=[],
            deletion_protection_enabled=False,
            warm_throughput=None,
        )

    def _add_queue(self, queue: Queue) -> None:
        is_fifo = queue.name.endswith(".fifo")
        sqs_backends[self.account_id][self.region].create_queue(
            queue.name, None, **({"FifoQueue": "true"} if is_fifo else {})
        )

    def _add_function(self, function: Function) -> None:
        image = {"ImageUri": f"{self.account_id}.dkr.ecr.{self.region}.amazonaws.com/{function.name}:1"}
        archive = {"ZipFile": base64.b64encode(b"").decode()}
        spec: dict[str, Any] = {
            "FunctionName": function.name,
            "Role": self._role(function.role, "lambda.amazonaws.com"),
            "Code": archive if function.runtime else image,
            "PackageType": "Zip" if function.runtime else "Image",
            "Environment": {"Variables": dict(function.environment)},
        }
        if function.runtime:
            spec |= {"Runtime": function.runtime, "Handler": "main.handle"}
        lambda_backends[self.account_id][self.region].create_function(spec)

    def _add_database(self, database: Database) -> None:
        backend = rds_backends[self.account_id][self.region]
        made = backend.create_db_instance(
            {
                "db_instance_identifier": database.name,
                # moto knows no DocumentDB, and no defaults of Neptune's; AWS lists both here.
                "engine": "postgres",
                "engine_version": database.engine_version,
                "db_instance_class": "db.t4g.medium",
                "tags": _listed(database.tags, "Key", "Value"),
            }
        )
        # moto makes a snapshot each time, and refuses the 101st.
        backend.database_snapshots.clear()
        made.engine = database.engine
        made.db_cluster_identifier = database.cluster
        made.created = database.created_at

    def _add_server(self, server: Server) -> None:
        backend = ec2_backends[self.account_id][self.region]
        made = backend.run_instances(
            "ami-0a1b2c3d4e5f60718",
            1,
            None,
            [],
            instance_type=server.type,
            is_instance_type_default=True,
            region_name=self.region,
            tags={"instance": dict(server.tags)},
        ).instances[0]
        made.launch_time = server.launched_at.astimezone(UTC).replace(tzinfo=None)
        _set_state(made, server.state)
        if server.profile is not None:
            backend.associate_iam_instance_profile(made.id, iam_instance_profile_name=self._profile(server.profile))
        self.servers[server.key], self._instances[server.key] = made.id, made

    def _add_cluster(self, cluster: Cluster) -> None:
        made = ecs_backends[self.account_id][self.region].create_cluster(
            cluster.name, _listed(cluster.tags, "key", "value")
        )
        made.status = cluster.status

    def _profile(self, name: str) -> str:
        """The instance profile of this name, made with a role of the same name if it is not there."""
        backend = iam(self.account_id)
        if name not in {profile.name for profile in backend.instance_profiles.values()}:
            self._role(name, "ec2.amazonaws.com")
            backend.create_instance_profile(name, "/", [name])
        return name

    def _role(self, name: str, service: str) -> str:
        """The ARN of the role of this name, made for this service if it is not there."""
        found = next((role for role in iam(self.account_id).roles.values() if role.name == name), None)
        if found is not None:
            return str(found.arn)
        trusted = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        return self._accounts.create_role(self.account_id, name, {"Version": "2012-10-17", "Statement": [trusted]})


def _listed(tags: Mapping[str, str], key: str, value: str) -> list[dict[str, str]]:
    return [{key: name, value: text} for name, text in tags.items()]


def _set_state(instance: Instance, state: str) -> None:
    instance._state.name, instance._state.code = state, STATE_CODES[state]
