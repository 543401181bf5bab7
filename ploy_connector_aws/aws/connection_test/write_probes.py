"""Writing, found out without writing: by a call that cannot make anything, or from the role's own policies alone.

The call is CreateGroupMembership of a made-up user and a made-up group, in a session that may do nothing else. Were one
of them to exist after all, there would still be nothing to make. AWS says nowhere whether it looks at the permission
first or at what exists (AWS.md section 10.2), so the role's policies are asked as well.
"""

from __future__ import annotations

from ploy_connector_aws.aws.client.calls import call
from ploy_connector_aws.aws.client.session import INTERACTIVE, RoleSession
from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.aws.permissions import get_action, render_write_session_policy
from ploy_connector_aws.spec import ConnectorError, NotFoundError, RejectedError

from .probe import Probed, make_up_id

CREATE = "identitystore:CreateGroupMembership"
DELETE = "identitystore:DeleteGroupMembership"


def probe_create(beside: RoleSession, instance: Instance) -> Probed:
    """Ask for a membership of nobody in nothing, which tells whether it may be asked for.

    Args:
        beside: The session in which everything else is tried.
        instance: Where.
    """
    config = beside.config
    group_id, user_id = make_up_id(), make_up_id()
    owner = instance.owner_account_id or config.account_id
    resources = (
        f"arn:aws:identitystore:::group/{group_id}",
        f"arn:aws:identitystore:::user/{user_id}",
        f"arn:aws:identitystore::{owner}:identitystore/{instance.identity_store_id}",
    )
    actions = (get_action(CREATE),)
    session = RoleSession(
        config, "probe", render_write_session_policy(actions, resources), actions, INTERACTIVE, parent=beside
    )
    try:
        session.open()
        call(
            session.client("identitystore", instance.primary_region),
            "CreateGroupMembership",
            IdentityStoreId=instance.identity_store_id,
            GroupId=group_id,
            MemberId={"UserId": user_id},
        )
    except NotFoundError:
        return Probed("AWS let the call through: the made-up group and user do not exist.", is_certain=False)
    except ConnectorError as error:
        return Probed(error=error)
    finally:
        session.close()
    return Probed(
        error=RejectedError(
            f"AWS took a membership of the made-up user {user_id} in the made-up group {group_id}, which must not "
            "exist.",
            reason="probe_succeeded",
            fix="Look both up in IAM Identity Center, remove the membership, and tell the maker of this connector.",
        )
    )
