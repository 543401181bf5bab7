"""The part of the table of escalations about code, or a shell, where a role is already in place: no role is passed.

Sources, by the mark at a row: P pathfinding.cloud (Datadog), R Rhino Security Labs, M PMapper (NCC Group), A the AWS
documentation of the action or its service-authorization page.
"""

from __future__ import annotations

from .escalation_model import Escalation, Target, target

# Those of AWS's own documents that run what the caller gives them; the others do one fixed thing (A: Systems Manager
# user guide, "Systems Manager Command document plugin reference").
_RUNNING_DOCUMENTS = (
    *("RunShellScript", "RunPowerShellScript", "RunRemoteScript", "RunDocument"),
    "ApplyAnsiblePlaybooks",
)


def _targets(*rows: str) -> tuple[Target, ...]:
    return tuple(map(target, rows))


def _running_documents(names: str) -> tuple[Target, ...]:
    return _targets(*(f"ssm document/AWS-{document} {names}" for document in _RUNNING_DOCUMENTS))


_CODE = Escalation(
    "code-of-others",
    "It can run code of its own where a role is already in place, and so act as that role",
    (
        _targets(
            "lambda function:* UpdateFunctionCode UpdateFunctionConfiguration",  # P lambda-003, R (layers)
            "lambda microvm-image:* CreateMicrovmShellAuthToken",  # A: a shell in a MicroVM
            "ec2 launch-template/* CreateLaunchTemplateVersion",  # P ec2-004; "$Latest" needs no ModifyLaunchTemplate
            "ec2 instance/* CreateReplaceRootVolumeTask",  # A: the root volume from another image
            "autoscaling autoScalingGroup:* CreateAutoScalingGroup",  # A: an existing launch configuration's profile
            "glue job/* UpdateJob",  # P glue-005
            "glue devEndpoint/* UpdateDevEndpoint",  # P glue-002
            "glue session/* RunStatement",  # A: code in an interactive session
            "sagemaker notebook-instance/* CreatePresignedNotebookInstanceUrl",  # P sagemaker-004
            "sagemaker notebook-instance-lifecycle-config/* UpdateNotebookInstanceLifecycleConfig",  # P sagemaker-005
            "sagemaker user-profile/* CreatePresignedDomainUrl",  # A: a terminal with the profile's execution role
            "sagemaker space/* StartSession",  # A: remote access to a space
            "sagemaker pipeline/* UpdatePipeline",  # A: RoleArn is optional
            "codebuild project/* StartBuild StartBuildBatch UpdateProject StartSandbox",  # P codebuild-002, -003
            "codebuild sandbox/* StartCommandExecution StartSandboxConnection",  # A: commands in a sandbox
            "cloudformation stack/* UpdateStack ExecuteChangeSet",  # P cloudformation-002, -005
            "cloudformation stackset/* UpdateStackSet CreateStackInstances",  # A: the administration role in place
            "codedeploy deploymentgroup:* CreateDeployment",  # A: hook scripts on the instances
            "states stateMachine:* UpdateStateMachine",  # A: roleArn is optional; SDK integrations call any action
            "batch job-definition/* SubmitJob",  # A: containerOverrides.command
            "ecs task/* ExecuteCommand",  # A: a shell in a running task
            "ecs service/* UpdateExpressGatewayService",  # A: another image, the task role stays
            "apprunner service/* UpdateService",  # P apprunner-002
            "elasticbeanstalk environment/* UpdateEnvironment",  # A: another version, image or user data
            "amplify apps/* UpdateApp",  # A: buildSpec, iamServiceRoleArn is optional
            "amplify apps/*/branches/* UpdateBranch",  # A: likewise
            "elasticmapreduce cluster/* AddJobFlowSteps GetClusterSessionCredentials",  # M, A: steps run as the cluster
            "emr-containers /virtualclusters/* StartJobRun CreateManagedEndpoint",  # A: names the role, passes none
            "athena workgroup/* StartCalculationExecution",  # A: Spark code with the workgroup's execution role
            "kinesisanalytics application/* UpdateApplication",  # A: ApplicationCodeConfigurationUpdate
            "airflow environment/* UpdateEnvironment",  # A: another bucket of DAGs, or startup script
            "synthetics canary:* UpdateCanary StartCanaryDryRun",  # A: Code; ExecutionRoleArn is optional
            "devicefarm project:* ScheduleRun",  # A: tests with the project's execution role
            "greengrass /greengrass/groups/* CreateDeployment",  # A: components with the token exchange role
            "opsworks stack/*/ CreateDeployment",  # A: recipes on the instances
            "deadline farm/*/queue/*/job/* CreateJob",  # A: jobs with the queue's role
            "deadline farm/*/queue/* AssumeQueueRoleForUser",  # A: gives the role's credentials
            "cloud9 environment:* CreateEnvironmentMembership UpdateEnvironmentMembership",  # A: a terminal
            "appstream image-builder/* CreateImageBuilderStreamingURL",  # A: a desktop with the builder's role
            "appstream fleet/* CreateStreamingURL",  # A: a desktop with the fleet's role
            "appstream app-block-builder/* CreateAppBlockBuilderStreamingURL",  # A: likewise
            "bedrock-agentcore code-interpreter-custom/* InvokeCodeInterpreter",  # P bedrock-002
            "bedrock-agentcore runtime/* InvokeAgentRuntimeCommand InvokeAgentRuntimeCommandShell",  # A: a shell
            "bedrock-agentcore - ConnectBrowserAutomationStream ConnectBrowserLiveViewStream",  # A: drives the browser
            "bedrock-agentcore harness/* UpdateHarness",  # A: executionRoleArn is optional
            "eks cluster/* CreateAccessEntry",  # A: into the cluster, and so to the roles of its pods
            "eks access-entry/* AssociateAccessPolicy UpdateAccessEntry",  # A: likewise
            "eks nodegroup/* UpdateNodegroupVersion",  # A: another version of the launch template
            "rolesanywhere - CreateTrustAnchor",  # A: certificates of its own for the profiles in place
            "rolesanywhere trust-anchor/* UpdateTrustAnchor",  # A: likewise
        ),
    ),
)

_ON_INSTANCES = (
    Escalation(
        "user-data",
        "It can change what EC2 instances run when they start, and so act as their roles",  # P ec2-002
        (_targets("ec2 instance/* ModifyInstanceAttribute"), _targets("ec2 instance/* StartInstances")),
    ),
    Escalation(
        "login-to-instances",
        "It can put an SSH key on EC2 instances, and so act as their roles",  # P ec2instanceconnect-003
        (
            _targets(
                "ec2 instance/* ec2-instance-connect:SendSSHPublicKey",
                "ec2 instance/* ec2-instance-connect:SendSerialConsoleSSHPublicKey",
            ),
        ),
    ),
    Escalation(
        "command-on-instances",
        "It can run commands on EC2 instances, and so act as their roles",  # P ssm-002
        (
            _targets("ec2 instance/* ssm:SendCommand", "ssm managed-instance/* SendCommand"),
            _running_documents("SendCommand"),
        ),
    ),
    Escalation(
        "scheduled-command",
        "It can have commands run on EC2 instances at set times, and so act as their roles",  # A: maintenance windows
        (
            _targets(
                "ssm maintenancewindow/* RegisterTaskWithMaintenanceWindow",
                "ssm windowtask/* UpdateMaintenanceWindowTask",
            ),
        ),
    ),
    Escalation(
        "associated-command",
        "It can have State Manager run commands on EC2 instances, and so act as their roles",  # A: CreateAssociation
        (_running_documents("CreateAssociation UpdateAssociation CreateAssociationBatch"),),
    ),
    Escalation(
        "changed-document",
        "It can change documents that Systems Manager runs on EC2 instances, and so act as their roles",  # A
        (_targets("ssm document/* UpdateDocument"), _targets("ssm document/* UpdateDocumentDefaultVersion")),
    ),
    Escalation(
        "session-on-instances",
        "It can open a shell on EC2 instances, and so act as their roles",  # P ssm-001
        (_targets("ec2 instance/* ssm:StartSession", "ssm managed-instance/* StartSession"),),
    ),
)

_IN_SEVERAL_STEPS = (
    Escalation(
        "notebook-lifecycle",
        "It can have a notebook or a Studio space run a script of its own, and so act as its role",  # P sagemaker-005
        (
            _targets(
                "sagemaker notebook-instance-lifecycle-config/* CreateNotebookInstanceLifecycleConfig",
                "sagemaker studio-lifecycle-config/* CreateStudioLifecycleConfig",
            ),
            _targets(
                "sagemaker notebook-instance/* UpdateNotebookInstance",
                "sagemaker domain/* UpdateDomain",
                "sagemaker user-profile/* UpdateUserProfile",
                "sagemaker space/* UpdateSpace",
            ),
        ),
    ),
    Escalation(
        "image-build",
        "It can have Image Builder run commands of its own on an instance, and so act as its role",  # A
        (
            _targets("imagebuilder component/* CreateComponent"),
            _targets(
                "imagebuilder image-recipe/* CreateImageRecipe", "imagebuilder container-recipe/* CreateContainerRecipe"
            ),
            _targets("imagebuilder image/* CreateImage", "imagebuilder image-pipeline/* UpdateImagePipeline"),
        ),
    ),
    Escalation(
        "product-version",
        "It can have Service Catalog create a template of its own with the product's launch role",  # A: constraints
        (
            _targets(
                "catalog product/* servicecatalog:CreateProvisioningArtifact servicecatalog:UpdateProvisioningArtifact"
            ),
            _targets("catalog product/* servicecatalog:ProvisionProduct", "servicecatalog - UpdateProvisionedProduct"),
        ),
    ),
    Escalation(
        "agent-action",
        "It can change what a Bedrock agent calls with its role",  # A: UpdateAgentActionGroup, then PrepareAgent
        (
            _targets("bedrock agent/* CreateAgentActionGroup UpdateAgentActionGroup"),
            _targets("bedrock agent/* PrepareAgent"),
        ),
    ),
)

ROLES_IN_PLACE = (_CODE, *_ON_INSTANCES, *_IN_SEVERAL_STEPS)
"""All of them, the widest first."""
