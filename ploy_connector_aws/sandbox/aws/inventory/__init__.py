"""The seven services whose resources are listed, from moto's state with AWS's pages.

moto pages few of these lists, orders them by insertion, and knows neither the S3 bucket's Region in the list nor the
smallest and largest pages; so only its state is used, not its handlers. Nothing here is imported before the
first call or the first resource: moto's EC2 and RDS take a second.

- `resources`: the resources as plain data; `seeding`: seeds and changes them
- `responses`: one operation; `lists`, `rds`, `ec2`, `ecs`: the services
"""
