"""The part of the table of escalations about passing a role to a service that then acts as the role for the caller.

Sources, by the mark at a row: P pathfinding.cloud (Datadog), R Rhino Security Labs, M PMapper (NCC Group), A the AWS
documentation of the action (a parameter with a role, and what the service does with it). Services that take a role and
are not here are in ``services``, each with its reason.
"""

from __future__ import annotations

from .escalation_model import passing
from .passed_to_compute import PASSED_TO_COMPUTE

_AUTOMATION = (
    passing(  # P cloudformation-001, -003, -004, R; A for extensions and Cloud Control
        "cloudformation",
        "a CloudFormation stack",
        "cloudformation resources.cloudformation",
        "cloudformation stack/* CreateStack UpdateStack CreateChangeSet RollbackStack ContinueUpdateRollback",
        "cloudformation stackset/* UpdateStackSet CreateStackInstances",
        "cloudformation - CreateStackSet RegisterType ActivateType CreateResource UpdateResource",
    ),
    passing(  # A: launch roles
        "servicecatalog",
        "a Service Catalog product",
        "servicecatalog",
        "catalog product/* servicecatalog:CreateConstraint",
        "servicecatalog - UpdateConstraint",
    ),
    passing(  # A: roles for CloudFormation and CodeBuild
        "proton",
        "a Proton environment",
        "proton codebuild",
        "proton environment/* CreateEnvironment UpdateEnvironment",
        "proton - UpdateAccountSettings CreateEnvironmentAccountConnection",
    ),
    passing(  # M; A: SDK integrations call any action
        "states",
        "a Step Functions state machine",
        "states",
        "states stateMachine:* CreateStateMachine UpdateStateMachine",
        "states - TestState",
    ),
    passing("scheduler", "an EventBridge schedule", "scheduler", "scheduler schedule/* CreateSchedule UpdateSchedule"),
    passing("events", "an EventBridge rule", "events", "events rule/* PutTargets"),  # A: Run Command, ECS, pipelines
    passing("pipes", "an EventBridge pipe", "pipes", "pipes pipe/* CreatePipe UpdatePipe"),  # A: likewise
    passing(  # A: automations, and activations, which give the role's credentials to a machine of the caller's
        "ssm",
        "a Systems Manager automation",
        "ssm",
        "ssm document/* StartAutomationExecution StartChangeRequestExecution CreateAssociation UpdateAssociation",
        # The older name of a document in the permissions of automations.
        "ssm automation-definition/* StartAutomationExecution",
        "ssm maintenancewindow/* RegisterTaskWithMaintenanceWindow",
        "ssm windowtask/* UpdateMaintenanceWindowTask",
        "ssm - CreateActivation",
        "ssm managed-instance/* UpdateManagedInstanceRole",
    ),
    passing(  # A: an automation with the role
        "ssm-incidents",
        "an Incident Manager response plan",
        "ssm-incidents",
        "ssm-incidents - CreateResponsePlan",
        "ssm-incidents response-plan/* UpdateResponsePlan",
    ),
    passing(  # A: a stack with the role
        "ssm-quicksetup",
        "a Quick Setup configuration",
        "ssm-quicksetup ssm cloudformation",
        "ssm-quicksetup configuration-manager/* CreateConfigurationManager UpdateConfigurationDefinition",
    ),
    passing(  # A: AutomationAssumeRole of a remediation
        "config",
        "a remediation of AWS Config",
        "ssm",
        "config remediation-configuration/* PutRemediationConfigurations",
        "config conformance-pack/* PutConformancePack",
    ),
    passing(  # A: aws:ssm:send-command, aws:ssm:start-automation-execution
        "fis",
        "a Fault Injection Service experiment",
        "fis",
        "fis experiment-template/* CreateExperimentTemplate UpdateExperimentTemplate",
    ),
    passing(  # A: ApplyIamPolicy attaches a policy of the caller's choice
        "budgets", "a budget action", "budgets", "budgets budget/*/action/* CreateBudgetAction UpdateBudgetAction"
    ),
    passing(  # A: commands from a chat channel
        "chatbot",
        "a chat channel",
        "chatbot",
        "chatbot - CreateSlackChannelConfiguration CreateMicrosoftTeamsChannelConfiguration",
        "chatbot chat-configuration/* UpdateSlackChannelConfiguration UpdateMicrosoftTeamsChannelConfiguration",
    ),
    passing(  # A: integrations of type AWS call any action
        "apigateway",
        "an API Gateway integration",
        "apigateway",
        "apigateway /restapis/*/resources/*/methods/*/integration PUT PATCH",
        "apigateway /restapis POST",
        "apigateway /restapis/* PUT",
    ),
    passing(  # A: HTTP data sources sign calls of any service
        "appsync", "an AppSync data source", "appsync", "appsync - CreateDataSource UpdateDataSource"
    ),
)

_AGENTS = (
    passing(  # P bedrock-001; A for browsers, harnesses and gateways
        "agentcore",
        "a Bedrock AgentCore runtime",
        "bedrock-agentcore",
        "bedrock-agentcore runtime/* UpdateAgentRuntime",
        "bedrock-agentcore gateway/* UpdateGateway",
        "bedrock-agentcore harness/* UpdateHarness",
        "bedrock-agentcore - CreateCodeInterpreter CreateAgentRuntime CreateBrowser CreateGateway CreateHarness",
    ),
    passing(  # A: agentResourceRoleArn, executionRoleArn
        "bedrock",
        "a Bedrock agent or flow",
        "bedrock",
        "bedrock - CreateAgent CreateFlow",
        "bedrock agent/* UpdateAgent",
        "bedrock flow/* UpdateFlow",
    ),
    passing(  # A: the agent and the troubleshooting tools act as the role
        "operations-agents",
        "an agent for operations",
        "aidevops ts ssm",
        "aidevops service/* RegisterService",
        "aidevops agentspace/* AssociateService UpdateAssociation EnableOperatorApp",
        "ts - StartExecution",
    ),
)

_CREDENTIALS = (
    passing(  # A: the service gives the role's credentials to who has a certificate
        "rolesanywhere",
        "an IAM Roles Anywhere profile",
        "rolesanywhere",
        "rolesanywhere profile/* UpdateProfile",
        "rolesanywhere - CreateProfile",
    ),
    passing(  # A: roles of guests and of people who signed in
        "cognito",
        "a Cognito pool",
        "cognito-identity cognito-idp",
        "cognito-identity - SetIdentityPoolRoles",
        "cognito-idp userpool/* CreateGroup UpdateGroup",
    ),
    passing(  # A: the credentials provider
        "iot", "an IoT role alias", "credentials.iot iot", "iot rolealias/* CreateRoleAlias UpdateRoleAlias"
    ),
    passing(  # A: InstanceRoleArn, credentials on a machine of the caller's
        "medialive", "a MediaLive Anywhere cluster", "medialive ecs ssm", "medialive cluster:* CreateCluster"
    ),
    passing(  # A: people of the directory sign in to the console as the role
        "directory", "people of a directory", "ds", "ds directory/* EnableRoleAccess"
    ),
    passing(  # A: functions on the core act as the group's role
        "greengrass", "a Greengrass group", "greengrass", "greengrass /greengrass/groups/* AssociateRoleToGroup"
    ),
)

PASSED_ROLES = (*PASSED_TO_COMPUTE, *_AUTOMATION, *_AGENTS, *_CREDENTIALS)
"""All rows about passing a role."""

TAKING_SERVICES = frozenset(
    action.partition(":")[0] for each in PASSED_ROLES for action in each.groups[1] if not action.startswith("iam:")
)
"""The services, as in the names of actions, of which this table has actions that take a role."""
