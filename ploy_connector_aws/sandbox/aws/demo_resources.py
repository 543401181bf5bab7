"""What Halden Freight keeps in its management account, where a real company should keep next to nothing.

- Jonas Vik, who left, is still named as the owner of a database and of a server.
- A bucket of exports is in another Region than everything else.
- Two servers have no owner; one of them runs with an instance profile that nobody asked about in years.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ploy_connector_aws.sandbox.aws.inventory.resources import (
    Bucket,
    Cluster,
    Database,
    Function,
    Queue,
    Resources,
    Server,
    Table,
)

_LEAVER_EMAIL = "jonas.vik@halden-freight.example"

DEMO_RESOURCES = Resources(
    buckets=(
        Bucket("halden-freight-invoices"),
        Bucket("halden-freight-cloudtrail"),
        Bucket("halden-freight-customs-exports", "us-east-1"),
        Bucket("halden-freight-terraform-state"),
    ),
    tables=(Table("shipments"), Table("shipment-events"), Table("terraform-locks")),
    queues=(Queue("shipment-events"), Queue("shipment-events-dead"), Queue("invoices.fifo")),
    functions=(
        Function(
            "invoice-renderer",
            "invoice-renderer",
            environment={"SMTP_PASSWORD": "never shown: dropped where it is read"},
        ),
        Function("customs-export", "customs-export", "nodejs24.x"),
        Function("label-scanner", "label-scanner", None),
    ),
    databases=(
        Database("billing", tags={"owner": "margaret.doyle@halden-freight.example", "env": "production"}),
        Database("billing-copy-2024", "postgres", "13.16", tags={"owner": _LEAVER_EMAIL}),
        Database("routes-1", "neptune", "1.4.5.1", "routes", {"team": "data"}),
        Database("manifests-1", "docdb", "5.0.0", "manifests", {"team": "engineering"}),
    ),
    servers=(
        Server("bastion", type="t4g.small", profile="bastion", tags={"Name": "bastion", "owner": "platform"}),
        Server("build-1", type="m7g.xlarge", profile="build-agent", tags={"Name": "build-1", "Owner": _LEAVER_EMAIL}),
        Server("legacy", "stopped", "m4.large", "legacy-admin", {"Name": "legacy-edi-gateway"}),
        Server("untitled", launched_at=datetime(2025, 11, 3, 9, tzinfo=UTC)),
        Server("old-build", "terminated", tags={"Name": "build-0"}),
    ),
    clusters=(Cluster("tracking", {"team": "engineering"}), Cluster("batch"), Cluster("trial-2023", status="INACTIVE")),
)
"""In the account and Region that the demo reads."""
