"""Ploy's connector for AWS: reads who can enter which AWS account, by which path, and proves completeness.

Map: ``spec`` (public hook specification), ``config`` (settings), ``plugin`` (hook implementations), ``aws``
(AWS calls), ``platform`` (Ploy's HTTP API), ``runtime`` (snapshot, comparison, sync), ``sandbox`` (a local AWS
and a local Ploy), ``testing`` (the kit for authors of connectors), ``cli`` (the ``ploy-connector`` command).
"""

__version__ = "0.10.0"
