"""Reads what there is in the AWS account: buckets, tables, queues, functions, databases, servers, clusters.

Map: ``reader`` (one scope for each service, and how each fails alone), ``s3``, ``dynamodb``, ``sqs``, ``lambda_``,
``rds``, ``ec2``, ``ecs`` (one service each), ``reading`` (what they share), ``tags`` (tags, and who is the owner).
"""
