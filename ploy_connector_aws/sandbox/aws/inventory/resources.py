"""The resources of one AWS account as plain data, without moto and boto."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Bucket:
    """An S3 bucket; `region` None is that of the other resources."""

    name: str
    region: str | None = None
    created_at: datetime = datetime(2025, 2, 3, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Table:
    """A DynamoDB table."""

    name: str


@dataclass(frozen=True)
class Queue:
    """An SQS queue; a name that ends in `.fifo` makes it a FIFO one."""

    name: str


@dataclass(frozen=True)
class Function:
    """A Lambda function; without a runtime it is a container image. A role that is not there is made."""

    name: str
    role: str = "function-execution"
    runtime: str | None = "python3.13"
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Database:
    """An RDS instance; the engines `neptune` and `docdb` are those of Neptune and DocumentDB."""

    name: str
    engine: str = "postgres"
    engine_version: str = "17.5"
    cluster: str | None = None
    tags: Tags = field(default_factory=dict)
    created_at: datetime = datetime(2025, 3, 4, 11, tzinfo=UTC)


@dataclass(frozen=True)
class Server:
    """An EC2 instance; `key` is what seeding calls it by, as AWS names none. A profile that is not there is made."""

    key: str
    state: Literal["pending", "running", "shutting-down", "terminated", "stopping", "stopped"] = "running"
    type: str = "t3.micro"
    profile: str | None = None
    tags: Tags = field(default_factory=dict)
    launched_at: datetime = datetime(2025, 4, 5, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Cluster:
    """An ECS cluster."""

    name: str
    tags: Tags = field(default_factory=dict)
    status: Literal["ACTIVE", "PROVISIONING", "DEPROVISIONING", "FAILED", "INACTIVE"] = "ACTIVE"


@dataclass(frozen=True)
class Resources:
    """All resources of one account, in one Region but for the buckets that name another."""

    buckets: tuple[Bucket, ...] = ()
    tables: tuple[Table, ...] = ()
    queues: tuple[Queue, ...] = ()
    functions: tuple[Function, ...] = ()
    databases: tuple[Database, ...] = ()
    servers: tuple[Server, ...] = ()
    clusters: tuple[Cluster, ...] = ()
