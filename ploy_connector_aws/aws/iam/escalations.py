"""The table of what makes a policy privileged.

The ways are those that security research has published for AWS (Rhino Security Labs, Bishop Fox, NCC's PMapper,
Datadog's pathfinding.cloud, Sonrai), and the writes by which access is given in Identity Center and Organizations.
Names of actions and their resources are from AWS's service-authorization data; a test compares them.
"""

from __future__ import annotations

from .access_writes import ACCOUNT_ACCESS, IDENTITY_STORE, ORGANIZATIONS, SSO, SSO_DIRECTORY
from .patterns import EVERYTHING, Pattern
from .ways import NO_RESOURCE, Escalation, Target, iam, of, on

EVERY_ACTION = "*:*"
EVERY_IAM_ACTION = "iam:*"
PASS_ROLE = "iam:PassRole"  # noqa: S105 - the name of an action

_ROLE = Pattern("arn:*:iam::*:role/*")
_INSTANCE = Pattern("arn:*:ec2:*:*:instance/*")


def _passing(code: str, what: str, principals: str, *targets: Target) -> Escalation:
    return Escalation(
        code=f"pass-role-{code}",
        sentence=f"It can pass a role to {what}, and so act as that role",
        needs=((on(_ROLE, "iam", "PassRole"),), targets),
        passed_to=tuple(f"{principal}.amazonaws.com" for principal in principals.split()),
    )


_ADMINISTRATION = (
    Escalation(
        "admin",
        "Full administrator access: it allows every action on every resource, save what is explicitly denied",
        ((Target(EVERYTHING, (EVERY_ACTION,)),),),
        is_everywhere=True,
    ),
    Escalation(
        "iam-full",
        "It allows every IAM action, save what is explicitly denied",
        ((Target(Pattern("arn:*:iam::*:*"), (EVERY_IAM_ACTION,)),),),
    ),
)

_POLICY_WRITES = (
    Escalation(
        "policy-version",
        "It can change what a policy allows",
        ((iam("policy/*", "CreatePolicyVersion SetDefaultPolicyVersion"),),),
    ),
    Escalation(
        "write-policies",
        "It can give permissions to users, roles or groups",
        (
            (
                iam("user/*", "AttachUserPolicy PutUserPolicy"),
                iam("role/*", "AttachRolePolicy PutRolePolicy"),
                iam("group/*", "AttachGroupPolicy PutGroupPolicy"),
            ),
        ),
    ),
    Escalation("add-to-group", "It can put users into groups", ((iam("group/*", "AddUserToGroup"),),)),
    Escalation("trust-policy", "It can change who may assume a role", ((iam("role/*", "UpdateAssumeRolePolicy"),),)),
    Escalation(
        "permissions-boundary",
        "It can change or remove permissions boundaries",
        (
            (
                iam("role/*", "DeleteRolePermissionsBoundary PutRolePermissionsBoundary"),
                iam("user/*", "DeleteUserPermissionsBoundary PutUserPermissionsBoundary"),
            ),
        ),
    ),
)

_IDENTITIES = (
    Escalation(
        "credentials-of-others",
        "It can make credentials for other users",
        (
            (
                iam("user/*", "CreateAccessKey CreateLoginProfile UpdateLoginProfile"),
                iam("user/*", "CreateServiceSpecificCredential ResetServiceSpecificCredential"),
            ),
        ),
        is_of_others=True,
    ),
    Escalation(
        "identity-provider",
        "It can change whom an identity provider vouches for",
        (
            (
                iam("saml-provider/*", "UpdateSAMLProvider"),
                iam("oidc-provider/*", "AddClientIDToOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint"),
            ),
        ),
    ),
    Escalation(
        "assume-any-role",
        "It can assume every role that trusts its AWS account",
        ((on(_ROLE, "sts", "AssumeRole"),),),
        is_everywhere=True,
    ),
    Escalation(
        # Made by AWS Organizations and by Control Tower in member accounts, with AdministratorAccess.
        "assume-member-admin",
        "It can assume the administrator role that AWS makes in the organization's member accounts",
        (
            (
                on(Pattern("arn:*:iam::*:role/OrganizationAccountAccessRole"), "sts", "AssumeRole"),
                on(Pattern("arn:*:iam::*:role/AWSControlTowerExecution"), "sts", "AssumeRole"),
            ),
        ),
        within="assume-any-role",
    ),
    Escalation(
        "assume-root",
        "It can act as the root user of member accounts",
        ((on(Pattern("arn:*:iam::*:root"), "sts", "AssumeRoot"),),),
    ),
)

_PASSED_ROLES = (
    _passing(
        "lambda",
        "a Lambda function",
        "lambda",
        of("lambda", "function:*", "CreateFunction UpdateFunctionConfiguration"),
    ),
    _passing(
        "ec2",
        "an EC2 instance",
        "ec2 spotfleet",
        on(_INSTANCE, "ec2", "RunInstances AssociateIamInstanceProfile ReplaceIamInstanceProfileAssociation"),
        of("ec2", "fleet/*", "CreateFleet"),
        of("ec2", "spot-instances-request/*", "RequestSpotInstances"),
        of("ec2", "spot-fleet-request/*", "RequestSpotFleet"),
        of("autoscaling", "autoScalingGroup:*", "CreateAutoScalingGroup"),
        of("autoscaling", "launchConfiguration:*", "CreateLaunchConfiguration"),
    ),
    _passing(
        "ecs",
        "an ECS task",
        "ecs-tasks ecs",
        of("ecs", "task-definition/*", "RegisterTaskDefinition RunTask StartTask"),
        of("ecs", "service/*", "CreateService UpdateService"),
    ),
    _passing(
        "cloudformation",
        "a CloudFormation stack",
        "cloudformation",
        of("cloudformation", "stack/*", "CreateStack UpdateStack CreateChangeSet"),
        of("cloudformation", "stackset/*", "UpdateStackSet CreateStackInstances"),
        on(NO_RESOURCE, "cloudformation", "CreateStackSet"),
    ),
    _passing(
        "glue",
        "a Glue job",
        "glue",
        of("glue", "job/*", "CreateJob UpdateJob"),
        of("glue", "session/*", "CreateSession"),
        on(NO_RESOURCE, "glue", "CreateDevEndpoint"),
    ),
    _passing(
        "sagemaker",
        "a SageMaker notebook or job",
        "sagemaker",
        of("sagemaker", "notebook-instance/*", "CreateNotebookInstance UpdateNotebookInstance"),
        of("sagemaker", "training-job/*", "CreateTrainingJob"),
        of("sagemaker", "processing-job/*", "CreateProcessingJob"),
        of("sagemaker", "hyper-parameter-tuning-job/*", "CreateHyperParameterTuningJob"),
        of("sagemaker", "automl-job/*", "CreateAutoMLJob CreateAutoMLJobV2"),
        of("sagemaker", "model/*", "CreateModel"),
        of("sagemaker", "pipeline/*", "CreatePipeline UpdatePipeline"),
        of("sagemaker", "domain/*", "CreateDomain UpdateDomain"),
        of("sagemaker", "user-profile/*", "CreateUserProfile UpdateUserProfile"),
    ),
    _passing(
        "codebuild",
        "a CodeBuild project",
        "codebuild",
        of("codebuild", "project/*", "CreateProject UpdateProject StartBuild StartBuildBatch"),
    ),
    _passing(
        "codepipeline", "a CodePipeline", "codepipeline", of("codepipeline", "*", "CreatePipeline UpdatePipeline")
    ),
    _passing(
        "datapipeline",
        "a data pipeline",
        "datapipeline elasticmapreduce",
        of("datapipeline", "pipeline/*", "PutPipelineDefinition"),
        on(NO_RESOURCE, "datapipeline", "CreatePipeline"),
    ),
    _passing(
        "emr",
        "an EMR cluster or job",
        "elasticmapreduce ec2 emr-serverless",
        on(NO_RESOURCE, "elasticmapreduce", "RunJobFlow"),
        of("emr-serverless", "/applications/*", "StartJobRun"),
    ),
    _passing(
        "batch",
        "a Batch job",
        "batch ecs-tasks ec2",
        of("batch", "job-definition/*", "RegisterJobDefinition"),
        of("batch", "compute-environment/*", "CreateComputeEnvironment"),
    ),
    _passing(
        "states",
        "a Step Functions state machine",
        "states",
        of("states", "stateMachine:*", "CreateStateMachine UpdateStateMachine"),
    ),
    _passing(
        "scheduler",
        "an EventBridge schedule",
        "scheduler",
        of("scheduler", "schedule/*", "CreateSchedule UpdateSchedule"),
    ),
    _passing(
        "ssm",
        "a Systems Manager automation",
        "ssm",
        of("ssm", "document/*", "StartAutomationExecution CreateAssociation UpdateAssociation"),
        # The older name of a document in the permissions of automations.
        of("ssm", "automation-definition/*", "StartAutomationExecution"),
    ),
    _passing(
        "apprunner",
        "an App Runner service",
        "apprunner tasks.apprunner build.apprunner",
        of("apprunner", "service/*", "CreateService UpdateService"),
    ),
    _passing(
        "beanstalk",
        "an Elastic Beanstalk environment",
        "elasticbeanstalk ec2",
        of("elasticbeanstalk", "environment/*", "CreateEnvironment UpdateEnvironment"),
    ),
    _passing(
        "eks",
        "a pod on EKS",
        "pods.eks",
        of("eks", "cluster/*", "CreatePodIdentityAssociation"),
        of("eks", "podidentityassociation/*", "UpdatePodIdentityAssociation"),
    ),
    _passing(
        "agentcore",
        "a Bedrock AgentCore runtime",
        "bedrock-agentcore",
        of("bedrock-agentcore", "runtime/*", "UpdateAgentRuntime"),
        on(NO_RESOURCE, "bedrock-agentcore", "CreateCodeInterpreter CreateAgentRuntime"),
    ),
    _passing(
        "rolesanywhere",
        "an IAM Roles Anywhere profile",
        "rolesanywhere",
        of("rolesanywhere", "profile/*", "UpdateProfile"),
        on(NO_RESOURCE, "rolesanywhere", "CreateProfile"),
    ),
)

_CODE = (
    Escalation(
        "code-of-others",
        "It can run code of its own where a role is already in place, and so act as that role",
        (
            (
                of("lambda", "function:*", "UpdateFunctionCode UpdateFunctionConfiguration"),
                of("glue", "job/*", "UpdateJob"),
                of("glue", "devEndpoint/*", "UpdateDevEndpoint"),
                of("sagemaker", "notebook-instance/*", "CreatePresignedNotebookInstanceUrl"),
                of("codebuild", "project/*", "StartBuild StartBuildBatch UpdateProject"),
                of("cloudformation", "stack/*", "UpdateStack ExecuteChangeSet"),
                of("ecs", "task/*", "ExecuteCommand"),
                of("bedrock-agentcore", "code-interpreter-custom/*", "InvokeCodeInterpreter"),
            ),
        ),
    ),
    Escalation(
        "command-on-instances",
        "It can run commands on EC2 instances, and so act as their roles",
        (
            (on(_INSTANCE, "ssm", "SendCommand"), of("ssm", "managed-instance/*", "SendCommand")),
            # Those of AWS's own documents that run what the caller hands over; the others do one fixed thing.
            tuple(
                of("ssm", f"document/AWS-{name}", "SendCommand")
                for name in (
                    *("RunShellScript", "RunPowerShellScript", "RunRemoteScript", "RunDocument"),
                    "ApplyAnsiblePlaybooks",
                )
            ),
        ),
    ),
    Escalation(
        "session-on-instances",
        "It can open a shell on EC2 instances, and so act as their roles",
        ((on(_INSTANCE, "ssm", "StartSession"), of("ssm", "managed-instance/*", "StartSession")),),
    ),
)

_ACCESS_OF_PEOPLE = (
    Escalation(
        "identity-center-write",
        "It can change who may enter which AWS account by IAM Identity Center",
        ((of("sso", "*", SSO), of("sso-directory", "*", SSO_DIRECTORY), of("identitystore", "*", IDENTITY_STORE)),),
    ),
    Escalation(
        "account-access-write",
        "It can change who may enter which AWS account by Account Access Manager",
        ((of("account-access", "*", ACCOUNT_ACCESS),),),
    ),
    Escalation(
        "organizations-write",
        "It can change the organization, its accounts or its policies",
        ((of("organizations", "*", ORGANIZATIONS),),),
    ),
)

ESCALATIONS = (*_ADMINISTRATION, *_POLICY_WRITES, *_IDENTITIES, *_PASSED_ROLES, *_CODE, *_ACCESS_OF_PEOPLE)
"""All ways, the widest first."""

ACTIONS = frozenset(action for each in ESCALATIONS for group in each.groups for action in group)
"""Every action of the table; `*:*` and `iam:*` stand for all of a service's."""
