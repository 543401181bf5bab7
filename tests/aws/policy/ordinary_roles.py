"""An account of sixty ordinary roles, as companies have them: what each trusts matters less than what it may do."""

from __future__ import annotations

from typing import Any

ACCOUNT = "111122223333"
_AWS = "arn:aws:iam::aws:policy/"


def _allow(actions: str, resource: object = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions.split(), "Resource": resource, **more}


def _pass(role: str, *services: str) -> dict[str, Any]:
    condition = {"StringEquals": {"iam:PassedToService": [f"{service}.amazonaws.com" for service in services]}}
    return _allow(
        "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{role}", **({"Condition": condition} if services else {})
    )


_LOGS = _allow("logs:CreateLogGroup logs:CreateLogStream logs:PutLogEvents")


def ordinary_roles() -> dict[str, list[dict[str, Any]]]:
    """The statements of sixty roles, by name."""
    functions = {
        f"lambda-{name}": [_LOGS, _allow(f"{actions}", f"arn:aws:{service}:*:{ACCOUNT}:{name}*")]
        for name, service, actions in (
            ("orders", "dynamodb", "dynamodb:GetItem dynamodb:PutItem dynamodb:Query"),
            ("invoices", "sqs", "sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes"),
            ("mailer", "ses", "ses:SendEmail ses:SendRawEmail"),
            ("resize", "s3", "s3:GetObject s3:PutObject"),
            ("notify", "sns", "sns:Publish"),
            ("stream", "kinesis", "kinesis:GetRecords kinesis:GetShardIterator kinesis:DescribeStream"),
            ("secrets", "secretsmanager", "secretsmanager:GetSecretValue"),
            ("parameters", "ssm", "ssm:GetParameter ssm:GetParametersByPath"),
            ("search", "es", "es:ESHttpGet es:ESHttpPost"),
            ("workflow", "states", "states:StartExecution"),
        )
    }
    readers = {
        f"reader-{number}": [_allow(actions)]
        for number, actions in enumerate(
            (
                "s3:Get* s3:List*",
                "ec2:Describe* elasticloadbalancing:Describe* autoscaling:Describe*",
                "cloudwatch:Get* cloudwatch:List* logs:Get* logs:FilterLogEvents",
                "iam:Get* iam:List* iam:GenerateCredentialReport",
                "ce:Get* budgets:View* cur:Describe*",
                "config:Get* config:Describe* config:List*",
                "guardduty:Get* guardduty:List* securityhub:Get*",
                "organizations:Describe* organizations:List*",
                "athena:GetQueryResults athena:StartQueryExecution glue:GetTable glue:GetDatabase",
                "support:* trustedadvisor:Describe* health:Describe*",
                "tag:GetResources resource-groups:List* resource-explorer-2:Search",
                "aws-portal:ViewBilling deepracer:Get* codestar:List*",
            )
        )
    }
    services: dict[str, list[dict[str, Any]]] = {
        "rds-monitoring": [_LOGS],
        "flow-logs": [_LOGS],
        "backup": [_allow("backup:StartBackupJob ec2:CreateSnapshot rds:CreateDBSnapshot"), _pass("backup", "backup")],
        "dlm": [_allow("ec2:CreateSnapshot ec2:DeleteSnapshot ec2:Describe*")],
        "replication": [_allow("s3:ReplicateObject s3:GetReplicationConfiguration")],
        "firehose": [_allow("s3:PutObject glue:GetTableVersions"), _LOGS],
        "config-recorder": [_allow("config:Put* s3:PutObject"), _pass("config", "config")],
        "trail-to-logs": [_LOGS],
        "database-admin": [_allow("rds:*"), _pass("rds-monitoring-role", "monitoring.rds", "rds")],
        "network-admin": [_allow("ec2:*Vpc* ec2:*Subnet* ec2:*Route* logs:*"), _pass("flow-logs", "vpc-flow-logs")],
        "data-mover": [_allow("datasync:* dms:*"), _pass("*", "datasync", "dms", "dms.eu-west-1")],
        "streams": [_allow("firehose:* kinesis:*"), _pass("delivery-*", "firehose", "delivery.logs")],
        "mail": [_allow("ses:* sns:* transfer:*"), _pass("mail-*")],
        "alarms": [_allow("cloudwatch:PutMetricAlarm events:PutRule application-autoscaling:*"), _pass("scaling-*")],
        "storage": [_allow("s3:* fsx:* elasticfilesystem:*"), _pass("replication", "s3", "batchoperations.s3")],
        "warehouse": [_allow("redshift:* redshift-data:*"), _pass("redshift-*", "redshift", "scheduler.redshift")],
        "search-admin": [_allow("es:* osis:*"), _pass("osis-*", "osis-pipelines")],
        "edge": [_allow("cloudfront:* wafv2:* acm:*"), _pass("edge-*", "edgelambda", "cloudfront")],
    }
    deployers: dict[str, list[dict[str, Any]]] = {
        "deploy-lambda": [
            _allow("lambda:UpdateFunctionCode lambda:PublishVersion", f"arn:aws:lambda:*:{ACCOUNT}:function:*")
        ],
        "deploy-ecs": [
            _allow("ecs:RegisterTaskDefinition ecs:UpdateService ecr:PutImage"),
            _pass("app-task", "ecs-tasks"),
        ],
        "deploy-stack": [_allow("cloudformation:*"), _pass("cfn-*", "cloudformation")],
        "deploy-site": [_allow("s3:PutObject s3:DeleteObject cloudfront:CreateInvalidation")],
        "deploy-image": [_allow("ecr:GetAuthorizationToken ecr:PutImage ecr:UploadLayerPart")],
        "terraform": [_allow("ec2:* iam:* s3:* rds:* lambda:*")],
        "pipeline": [_allow("codebuild:StartBuild codecommit:GitPull s3:GetObject"), _pass("build", "codebuild")],
        "airflow": [
            _allow("s3:* glue:StartJobRun emr-serverless:StartJobRun"),
            _pass("jobs-*", "emr-serverless", "glue"),
        ],
        "batch-jobs": [_allow("batch:SubmitJob batch:Describe*")],
        "github-actions": [_allow("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/deploy-*")],
    }
    people: dict[str, list[dict[str, Any]]] = {
        "developer": [_allow("s3:* dynamodb:* sqs:* sns:* logs:* cloudwatch:*")],
        "support-desk": [_allow("support:* health:* ec2:Describe* ec2:RebootInstances")],
        "operator": [_allow("ec2:StartInstances ec2:StopInstances ssm:StartSession")],
        "billing": [_allow("billing:* payments:* tax:* invoicing:* consolidatedbilling:*")],
        "auditor": [_allow("access-analyzer:* iam:Get* cloudtrail:LookupEvents")],
        "data-scientist": [_allow("sagemaker:* s3:*"), _pass("SageMaker-*", "sagemaker")],
        "administrator": [_allow("*")],
        "power-user": [{"Effect": "Allow", "NotAction": ["iam:*", "organizations:*"], "Resource": "*"}],
        "break-glass": [_allow("*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}})],
        "password-self-service": [_allow("iam:ChangePassword", f"arn:aws:iam::{ACCOUNT}:user/${{aws:username}}")],
    }
    return {**functions, **readers, **services, **deployers, **people}
