"""The services of AWS as the table of escalations knows them: those left out of it with a reason, and all others.

A role that is passed to a service which is nowhere here leads to an undecided verdict, never to "not privileged".
"""

from __future__ import annotations

from .passed_roles import TAKING_SERVICES

TABLE_DATE = "2026-10-27"
"""The date of AWS's service-authorization data with which the table was compared; a test keeps it so."""

LEFT_OUT: dict[str, str] = {
    "It copies, converts, indexes or stores data with the role, by code of its own": (
        "appflow backup backup-gateway backup-search continuum databrew dataexchange datasync datazone dax dms dsql "
        "dynamodb elasticfilesystem entityresolution es aoss osis firehose glacier healthlake kendra kinesis "
        "lakeformation machinelearning marketplacecommerceanalytics mediaconnect mediaconvert mediapackage "
        "mediapackage-vod mediapackagev2 medical-imaging neptune-db neptune-graph odb qbusiness rds redshift "
        "redshift-serverless s3 s3-outposts s3files s3tables securitylake snowball storagegateway timestream transfer "
        "wisdom connect profile cleanrooms cleanrooms-ml iotsitewise iottwinmaker iotfleetwise grafana quicksight "
        "repostspace acm artifact cassandra elastictranscoder"
    ),
    "It analyses data with the role, by models and code of its own": (
        "access-analyzer aiops auditmanager comprehend comprehendmedical elemental-inference forecast frauddetector "
        "geo guardduty health-agent inspector lex lookoutequipment lookoutmetrics personalize rekognition "
        "sagemaker-geospatial securityagent textract transcribe translate voiceid wellarchitected q chime"
    ),
    "It writes logs, metrics, events or messages with the role": (
        "aps bcm-dashboards cloudfront cloudtrail cloudwatch cognito-sync groundstation iotmanagedintegrations "
        "iotwireless kafka logs mediastore mobiletargeting observabilityadmin rum securityhub ses sms-voice sns "
        "social-messaging supportapp workmail"
    ),
    "It manages its own resources, or does one fixed thing, with the role": (
        "agent-registry appconfig application-autoscaling arc-region-switch cloudhsm dlm ecr iotdeviceadvisor "
        "resiliencehub resource-groups secretsmanager shield"
    ),
    "It calls functions, which run with roles of their own": "swf",
    "Its service role only steers deployments; their code runs with roles in place, which the table has": "codedeploy",
    "The call names a role that trusts its own provider, and passes none; the table has it as code in place": (
        "emr-containers"
    ),
    "Who takes which role there is in the table as access of people": "account-access",
    "A role in a call of this service is not one of IAM, or is not passed": "iam rtbfabric sts workdocs",
}
"""Services that take a role and are knowingly not in the table of passed roles, by reason: names as in actions."""

WITHOUT_ROLES = (
    "a2c a4b account acm-pca aco-automation action-recommendations activate agentaccess-mcp amplifybackend "
    "amplifyuibuilder app-integrations appfabric application-signals application-signals-mcp "
    "application-transformation applicationinsights appmesh appmesh-preview appstudio apptest arc-zonal-shift arsenal "
    "assurance autoscaling-plans aws-external-anthropic aws-marketplace aws-marketplace-management aws-portal "
    "awsconnector b2bi backup-storage bcm-data-exports bcm-pricing-calculator bcm-recommended-actions bedrock-mantle "
    "bedrock-websearch billing billingconductor bugbust cases ce cloud9 clouddirectory cloudfront-keyvaluestore "
    "cloudsearch cloudshell cloudtrail-data codeartifact codecommit codedeploy-commands-secure codeguru "
    "codeguru-profiler codeguru-reviewer codeguru-security codestar-notifications codewhisperer compute-optimizer "
    "connect-campaigns consoleapp consolidatedbilling controlcatalog controltower cost-optimization-hub cur "
    "customer-verification dbqms detective devops-guru directconnect discovery docdb-elastic ds-data ebs "
    "ec2-instance-connect ec2messages ecr-public ecs-mcp eks-auth eks-mcp elasticache elasticloadbalancing "
    "elemental-activations elemental-appliances-software elemental-support-cases elemental-support-content "
    "end-user-messaging eventsbilltoaws evs execute-api finops-agent finspace-api fms freertos freetier fsx geo-maps "
    "geo-places geo-routes globalaccelerator groundtruthlabeling health honeycode identity-sync identitystore "
    "identitystore-auth importexport inspector-scan inspector2 inspector2-telemetry interconnect internetmonitor "
    "invoicing iot-device-tester iotfleethub iotjobsdata iq iq-permission ivs ivschat kafka-cluster kendra-ranking "
    "kinesisvideo kms launchwizard license-manager license-manager-linux-subscriptions "
    "license-manager-user-subscriptions lightsail lookoutvision macie2 managedblockchain managedblockchain-query "
    "mapcredits mechanicalturk mediaimport mediatailor memorydb mgh migrationhub-orchestrator migrationhub-strategy "
    "mobileanalytics monitron mpa mq network-firewall network-security-director network-security-manager "
    "networkflowmonitor networkmanager networkmanager-chat networkmonitor notifications notifications-contacts "
    "nova-act oam one opensearch organizations outposts partnercentral partnercentral-account-management "
    "payment-cryptography payments pca-connector-ad pca-connector-scep pi polly pricing pricingplanmanager "
    "private-networks purchase-orders qapps qdeveloper qldb ram rbin rds-data rds-db redshift-data refactor-spaces "
    "researchstudio resource-explorer resource-explorer-2 rhelkb route53 route53-recovery-cluster "
    "route53-recovery-control-config route53-recovery-readiness route53domains route53globalresolver route53profiles "
    "route53resolver s3-object-lambda s3express s3vectors sagemaker-data-science-assistant sagemaker-mlflow "
    "sagemaker-unified-studio-mcp savingsplans schemas scn sdb security-ir serverlessrepo servicediscovery "
    "serviceextract servicequotas signer signin sms snow-device-management sqlworkbench sqs ssm-contacts "
    "ssm-guiconnect ssm-sap ssmmessages sso sso-directory sso-oauth startups support support-console supportauthz "
    "supportplans sustainability tag tax thinclient timestream-influxdb tiros tnb transform transform-custom "
    "trustedadvisor user-subscriptions uxc vendor-insights verified-access verifiedpermissions vpc-lattice "
    "vpc-lattice-svcs vpce waf waf-regional wafv2 wam wickr worklink workmailmessageflow workspaces-instances "
    "workspaces-web xray"
)
"""Services of which no action is known to take a role."""

RETIRED = "builderid codestar deepcomposer deeplens deepracer elastic-inference evidently iot1click iotevents zocalo"
"""Services that AWS ended; policies still name them."""

_PRINCIPALS = (
    "ec2fleet ecs-tasks edgelambda integrations lexv2 marketplace opensearchservice spot spotfleet vmie vpc-flow-logs "
    "cognito-identity-us-gov codecatalyst-runner delivery osis-pipelines partnercentral-selling"
)
"""Labels of service principals that are not the name of a service in actions."""

_SERVICES = TAKING_SERVICES | {name for names in (*LEFT_OUT.values(), WITHOUT_ROLES, RETIRED) for name in names.split()}
_LABELS = _SERVICES | frozenset(_PRINCIPALS.split())


def is_known_service(name: str) -> bool:
    """Whether the service of an action, in lower case, existed on the date of the table."""
    return name in _SERVICES


def is_known_principal(text: str) -> bool:
    """Whether a value of `iam:PassedToService` names a service that the table knows, or is a pattern.

    Args:
        text: Such as `ecs-tasks.amazonaws.com` or `states.eu-west-1.amazonaws.com`, in any letter case.
    """
    labels = text.lower().split(".")
    return bool({"*", "?", "$"} & set(text)) or not _LABELS.isdisjoint(labels)
