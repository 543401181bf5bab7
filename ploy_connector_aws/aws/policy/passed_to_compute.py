"""The part of the table of escalations about passing a role to what runs the caller's code: compute, jobs, builds.

Sources, by the mark at a row: P pathfinding.cloud (Datadog), R Rhino Security Labs, M PMapper (NCC Group), A the AWS
documentation of the action (a parameter with a role, and what the service does with it).
"""

from __future__ import annotations

from .escalation_model import passing

_COMPUTE = (
    passing(  # P lambda-001, R
        "lambda",
        "a Lambda function",
        "lambda",
        "lambda function:* CreateFunction UpdateFunctionConfiguration",
        "lambda microvm-image:* RunMicrovm UpdateMicrovmImage",
        "lambda - CreateMicrovmImage",
        "lambda web-function/* CreateWebFunction CreateWebFunctionRevision",
    ),
    passing(  # P ec2-001, ec2-003, R; A for fleets, launch configurations and the role of a profile in use
        "ec2",
        "an EC2 instance",
        "ec2 spotfleet",
        "ec2 instance/* RunInstances AssociateIamInstanceProfile ReplaceIamInstanceProfileAssociation",
        "ec2 fleet/* CreateFleet",
        "ec2 spot-instances-request/* RequestSpotInstances",
        "ec2 spot-fleet-request/* RequestSpotFleet",
        "ec2 - RunScheduledInstances",
        "autoscaling autoScalingGroup:* CreateAutoScalingGroup UpdateAutoScalingGroup",
        "autoscaling launchConfiguration:* CreateLaunchConfiguration",
        "iam instance-profile/* AddRoleToInstanceProfile",
    ),
    passing(  # P ecs-001 to -005; A for daemons, task sets and express services
        "ecs",
        "an ECS task",
        "ecs-tasks ecs",
        "ecs task-definition/* RegisterTaskDefinition RunTask StartTask",
        "ecs daemon-task-definition/* RegisterDaemonTaskDefinition",
        "ecs service/* CreateService UpdateService CreateExpressGatewayService UpdateExpressGatewayService",
        "ecs task-set/* CreateTaskSet",
    ),
    passing(  # A: CreatePodIdentityAssociation, CreateNodegroup, CreateAddon, CreateCapability
        "eks",
        "a pod or node of EKS",
        "pods.eks eks ec2 eks-fargate-pods capabilities.eks",
        "eks cluster/* CreatePodIdentityAssociation CreateNodegroup CreateFargateProfile CreateAddon CreateCapability",
        "eks podidentityassociation/* UpdatePodIdentityAssociation",
        "eks addon/* UpdateAddon",
        "eks capability/* UpdateCapability",
    ),
    passing(  # A: job roles, instance profiles
        "batch",
        "a Batch job",
        "batch ecs-tasks ec2",
        "batch job-definition/* RegisterJobDefinition",
        "batch compute-environment/* CreateComputeEnvironment UpdateComputeEnvironment",
    ),
    passing(  # P apprunner-001
        "apprunner",
        "an App Runner service",
        "apprunner tasks.apprunner build.apprunner",
        "apprunner service/* CreateService UpdateService",
    ),
    passing(  # A: instance profiles and operations roles
        "beanstalk",
        "an Elastic Beanstalk environment",
        "elasticbeanstalk ec2",
        "elasticbeanstalk environment/* CreateEnvironment UpdateEnvironment AssociateEnvironmentOperationsRole",
    ),
    passing(  # A: InstanceRoleArn, FleetRoleArn, roles of game server groups
        "gamelift",
        "a GameLift fleet",
        "gamelift ec2",
        "gamelift - CreateFleet CreateContainerFleet CreateGameServerGroup",
    ),
    passing(  # A: iamInstanceProfileArn
        "pcs",
        "nodes of Parallel Computing Service",
        "ec2",
        "pcs cluster/* CreateComputeNodeGroup",
        "pcs cluster/*/computenodegroup/* UpdateComputeNodeGroup",
    ),
    passing(  # A: roles of queues and fleets
        "deadline",
        "a Deadline Cloud queue or fleet",
        "credentials.deadline deadline",
        "deadline farm/*/queue/* CreateQueue UpdateQueue",
        "deadline farm/*/fleet/* CreateFleet UpdateFleet",
    ),
    passing(  # A: IamRoleArn, credentials on the streaming instance
        "appstream",
        "an AppStream fleet or image builder",
        "appstream",
        "appstream fleet/* CreateFleet UpdateFleet",
        "appstream image-builder/* CreateImageBuilder",
        "appstream app-block-builder/* CreateAppBlockBuilder UpdateAppBlockBuilder",
    ),
    passing(  # A: InstanceIamRoleArn
        "workspaces",
        "WorkSpaces",
        "workspaces ec2",
        "workspaces directory/* ModifyWorkspaceCreationProperties",
    ),
    passing(  # A: DefaultInstanceProfileArn, InstanceProfileArn
        "opsworks",
        "an OpsWorks stack",
        "opsworks opsworks-cm ec2",
        "opsworks - CreateStack",
        "opsworks stack/*/ UpdateStack",
        "opsworks-cm - CreateServer",
    ),
    passing(  # A: roles of the caller's application, of studio components, of launched servers
        "applications",
        "an application or server that a service starts",
        "gameliftstreams m2 nimble identity.nimble ec2 drs mgn",
        "gameliftstreams streamgroup/* StartStreamSession",
        "m2 - CreateApplication",
        "nimble studio/* CreateStudioComponent",
        "nimble studio-component/* UpdateStudioComponent",
        "drs source-server/* StartRecovery",
        "mgn source-server/* StartCutover StartTest",
    ),
    passing("simspaceweaver", "a SimSpace Weaver app", "simspaceweaver", "simspaceweaver - StartSimulation"),  # A
    passing("robomaker", "a RoboMaker simulation", "robomaker", "robomaker - CreateSimulationJob"),  # A
    passing("panorama", "a Panorama application", "panorama", "panorama - CreateApplicationInstance"),  # A
)

_DATA = (
    passing(  # P glue-001, glue-003, R
        "glue",
        "a Glue job",
        "glue",
        "glue job/* CreateJob UpdateJob",
        "glue session/* CreateSession",
        "glue - CreateDevEndpoint",
    ),
    passing(  # P sagemaker-001 to -003; A for the other jobs that run the caller's container or script
        "sagemaker",
        "a SageMaker notebook or job",
        "sagemaker job.sagemaker",
        "sagemaker notebook-instance/* CreateNotebookInstance UpdateNotebookInstance",
        "sagemaker training-job/* CreateTrainingJob",
        "sagemaker training-session/* CreateTrainingSession",
        "sagemaker processing-job/* CreateProcessingJob",
        "sagemaker hyper-parameter-tuning-job/* CreateHyperParameterTuningJob",
        "sagemaker automl-job/* CreateAutoMLJob CreateAutoMLJobV2",
        "sagemaker model/* CreateModel",
        "sagemaker model-package/* CreateModelPackage",
        "sagemaker algorithm/* CreateAlgorithm",
        "sagemaker pipeline/* CreatePipeline UpdatePipeline",
        "sagemaker domain/* CreateDomain UpdateDomain",
        "sagemaker user-profile/* CreateUserProfile UpdateUserProfile",
        "sagemaker cluster/* CreateCluster UpdateCluster",
        "sagemaker job/* CreateJob",
        "sagemaker monitoring-schedule/* CreateMonitoringSchedule UpdateMonitoringSchedule",
        "sagemaker data-quality-job-definition/* CreateDataQualityJobDefinition",
        "sagemaker model-quality-job-definition/* CreateModelQualityJobDefinition",
        "sagemaker model-bias-job-definition/* CreateModelBiasJobDefinition",
        "sagemaker model-explainability-job-definition/* CreateModelExplainabilityJobDefinition",
        "sagemaker inference-recommendations-job/* CreateInferenceRecommendationsJob",
        "sagemaker inference-experiment/* CreateInferenceExperiment",
    ),
    passing(  # P datapipeline-001, R
        "datapipeline",
        "a data pipeline",
        "datapipeline elasticmapreduce ec2",
        "datapipeline pipeline/* PutPipelineDefinition",
        "datapipeline - CreatePipeline",
    ),
    passing(  # M; A for studios, notebooks and EMR Serverless
        "emr",
        "an EMR cluster or job",
        "elasticmapreduce ec2 emr-serverless",
        "elasticmapreduce - RunJobFlow CreateStudio",
        "elasticmapreduce cluster/* AddJobFlowSteps StartSession",
        "elasticmapreduce editor/* StartNotebookExecution",
        "emr-serverless /applications/* StartJobRun AccessInteractiveEndpoints AccessLivyEndpoints StartSession",
    ),
    passing(  # A: Spark and ExecutionRole of a workgroup
        "athena", "an Athena workgroup", "athena", "athena workgroup/* CreateWorkGroup UpdateWorkGroup"
    ),
    passing(  # A: ServiceExecutionRole, the caller's Flink code
        "kinesisanalytics", "a Flink application", "kinesisanalytics", "kinesisanalytics - CreateApplication"
    ),
    passing("kafkaconnect", "an MSK connector", "kafkaconnect", "kafkaconnect - CreateConnector"),  # A: custom plugins
    passing(  # A: ExecutionRoleArn runs the caller's DAGs
        "airflow",
        "an Airflow environment",
        "airflow airflow-env airflow-serverless",
        "airflow environment/* CreateEnvironment UpdateEnvironment",
        "airflow-serverless - CreateWorkflow",
        "airflow-serverless workflow/* UpdateWorkflow",
    ),
    passing("braket", "a Braket job", "braket", "braket job/* CreateJob"),  # A: the caller's container
    passing("omics", "a HealthOmics run", "omics", "omics run/* StartRun StartRunBatch"),  # A: the caller's workflow
    passing("finspace", "a FinSpace cluster", "finspace", "finspace kxEnvironment/*/kxCluster/* CreateKxCluster"),  # A
    passing("iotanalytics", "an IoT Analytics dataset", "iotanalytics", "iotanalytics dataset/* CreateDataset"),  # A
)

_BUILDS = (
    passing(  # P codebuild-001, -004
        "codebuild",
        "a CodeBuild project",
        "codebuild",
        "codebuild project/* CreateProject UpdateProject StartBuild StartBuildBatch",
        "codebuild fleet/* CreateFleet UpdateFleet",
    ),
    passing("codepipeline", "a CodePipeline", "codepipeline", "codepipeline * CreatePipeline UpdatePipeline"),  # M
    passing(  # A: a role for workflows
        "codecatalyst",
        "a CodeCatalyst workflow",
        "codecatalyst codecatalyst-runner",
        "codecatalyst /connections/* AssociateIamRoleToConnection",
    ),
    passing(  # A: RoleArn updates stacks from a repository
        "git-sync",
        "a Git sync of CloudFormation",
        "cloudformation.sync.codeconnections sync.codeconnections codeconnections codestar-connections cloudformation",
        "codeconnections repository-link/* CreateSyncConfiguration",
        "codeconnections - UpdateSyncConfiguration",
        "codestar-connections repository-link/* CreateSyncConfiguration",
    ),
    passing(  # A: iamServiceRoleArn, computeRoleArn
        "amplify",
        "an Amplify app",
        "amplify",
        "amplify - CreateApp",
        "amplify apps/* UpdateApp",
        "amplify apps/*/branches/* CreateBranch UpdateBranch",
    ),
    passing(  # A: the instance profile's role is passed to EC2; executionRole to Image Builder
        "imagebuilder",
        "an Image Builder pipeline",
        "ec2 imagebuilder",
        "imagebuilder infrastructure-configuration/* CreateInfrastructureConfiguration "
        "UpdateInfrastructureConfiguration",
        "imagebuilder image/* CreateImage",
        "imagebuilder image-pipeline/* CreateImagePipeline UpdateImagePipeline",
    ),
    passing("devicefarm", "a Device Farm project", "devicefarm", "devicefarm - CreateProject"),  # A: executionRoleArn
    passing(  # A: ExecutionRoleArn runs the caller's script
        "synthetics",
        "a CloudWatch canary",
        "lambda synthetics",
        "synthetics - CreateCanary",
        "synthetics canary:* UpdateCanary StartCanaryDryRun",
    ),
)

PASSED_TO_COMPUTE = (*_COMPUTE, *_DATA, *_BUILDS)
"""All of them."""
