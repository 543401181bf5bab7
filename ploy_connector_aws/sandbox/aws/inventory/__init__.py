"""The seven services whose resources are listed, answered from moto's state and paged as AWS pages them.

moto pages few of these lists, orders them by insertion, and knows neither the S3 bucket's Region in the list nor the
smallest and largest pages; so its handlers are not asked, only its state is used. Nothing here is imported before the
first call or the first resource: moto's EC2 and RDS take a second.

- `resources`: what there is, as plain data; `seeding`: puts it in and changes it
- `responses`: one operation; `wire`: the coding of responses in each protocol
- `s3`, `dynamodb`, `sqs`, `lambda_`, `rds`, `ec2`, `ecs`: the services
"""
