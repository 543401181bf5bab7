"""Everything that a command, a service or a sandbox imports, and the models of AWS's services that they load."""

from ploy_connector_aws.sandbox.environment import scrub

scrub()  # before anything is imported that reads the environment, as moto and boto3 do

import ploy_connector_aws.aws.connection_test.runner  # noqa: E402
import ploy_connector_aws.aws.iam.reader  # noqa: E402
import ploy_connector_aws.aws.identity_center.reader  # noqa: E402
import ploy_connector_aws.aws.inventory.reader  # noqa: E402
import ploy_connector_aws.cli.demo  # noqa: E402
import ploy_connector_aws.cli.listing  # noqa: E402
import ploy_connector_aws.cli.run  # noqa: E402
import ploy_connector_aws.cli.setup  # noqa: E402
import ploy_connector_aws.sandbox.sandbox  # noqa: E402, F401
from ploy_connector_aws.aws.client.session import _loader  # noqa: E402
from ploy_connector_aws.aws.permissions import READS  # noqa: E402

for service in sorted({action.client for action in READS} | {"sts"}):
    _loader().load_service_model(service, "service-2")
