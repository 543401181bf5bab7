"""Reads the resources of the AWS account: buckets, tables, queues, functions, databases, servers, clusters.

Map: ``reader`` (one scope for each service, and how each fails alone), ``lists`` (S3, DynamoDB, SQS, Lambda), ``rds``,
``ec2``, ``ecs`` (the services with tags), ``tags`` (tags, and the owner that they name), ``read_context`` (what the
readers share).
"""
