"""Everything that a command or a service imports and loads, with the models of AWS's services."""

from ploy_connector_aws.sandbox.environment import scrub

scrub()  # before anything is imported that reads the environment, as boto3 does

import ploy_connector_aws.aws.connection_test.runner  # noqa: E402
import ploy_connector_aws.aws.iam.reader  # noqa: E402
import ploy_connector_aws.aws.identity_center.reader  # noqa: E402
import ploy_connector_aws.aws.inventory.reader  # noqa: E402
import ploy_connector_aws.aws.reader  # noqa: E402
import ploy_connector_aws.cli.demo  # noqa: E402
import ploy_connector_aws.cli.listing  # noqa: E402
import ploy_connector_aws.cli.service  # noqa: E402
import ploy_connector_aws.cli.setup  # noqa: E402, F401
from ploy_connector_aws.aws.client.session import _new_session  # noqa: E402
from ploy_connector_aws.aws.permissions import READS  # noqa: E402
from ploy_connector_aws.host import find_connectors  # noqa: E402
from tests.botocore_caches import speed_up_botocore  # noqa: E402

find_connectors()["aws"]
speed_up_botocore()
_keys = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}
for service in sorted({action.client for action in READS} | {"sts"}):
    _new_session().create_client(service, region_name="eu-west-1", exchange_seconds=60, **_keys)
