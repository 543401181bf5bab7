"""The actions by which it is changed who may enter which AWS account: all writes of the services that decide it.

They are all actions of the access levels Write and Permissions management in AWS's service-authorization data, save
those that only set tags; a test compares them.
"""

from __future__ import annotations

SSO = (
    "AddRegion AssociateDirectory AssociateProfile AttachCustomerManagedPolicyReferenceToPermissionSet "
    "AttachManagedPolicyToPermissionSet CreateAccountAssignment CreateApplication CreateApplicationAssignment "
    "CreateApplicationInstance CreateApplicationInstanceCertificate CreateInstance "
    "CreateInstanceAccessControlAttributeConfiguration CreateManagedApplicationInstance CreatePermissionSet "
    "CreateProfile CreateTrust CreateTrustedTokenIssuer DeleteAccountAssignment DeleteApplication "
    "DeleteApplicationAccessScope DeleteApplicationAssignment DeleteApplicationAuthenticationMethod "
    "DeleteApplicationGrant DeleteApplicationInstance DeleteApplicationInstanceCertificate "
    "DeleteInlinePolicyFromPermissionSet DeleteInstance DeleteInstanceAccessControlAttributeConfiguration "
    "DeleteManagedApplicationInstance DeletePermissionSet DeletePermissionsBoundaryFromPermissionSet DeleteProfile "
    "DeleteTrustedTokenIssuer DetachCustomerManagedPolicyReferenceFromPermissionSet "
    "DetachManagedPolicyFromPermissionSet DisassociateDirectory DisassociateProfile "
    "ImportApplicationInstanceServiceProviderMetadata ProvisionPermissionSet PutApplicationAccessScope "
    "PutApplicationAssignmentConfiguration PutApplicationAuthenticationMethod PutApplicationGrant "
    "PutApplicationSessionConfiguration PutInlinePolicyToPermissionSet PutMfaDeviceManagementForDirectory "
    "PutPermissionsBoundaryToPermissionSet PutPermissionsPolicy RemoveRegion StartSSO UpdateApplication "
    "UpdateApplicationInstanceActiveCertificate UpdateApplicationInstanceDisplayData "
    "UpdateApplicationInstanceResponseConfiguration UpdateApplicationInstanceResponseSchemaConfiguration "
    "UpdateApplicationInstanceSecurityConfiguration UpdateApplicationInstanceServiceProviderConfiguration "
    "UpdateApplicationInstanceStatus UpdateInstance UpdateInstanceAccessControlAttributeConfiguration "
    "UpdateManagedApplicationInstanceStatus UpdatePermissionSet UpdateProfile UpdateSSOConfiguration UpdateTrust "
    "UpdateTrustedTokenIssuer"
)
"""IAM Identity Center: permission sets, assignments, applications."""

SSO_DIRECTORY = (
    "AddMemberToGroup CompleteVirtualMfaDeviceRegistration CompleteWebAuthnDeviceRegistration CreateAlias "
    "CreateBearerToken CreateExternalIdPConfigurationForDirectory CreateGroup CreateProvisioningTenant CreateUser "
    "DeleteBearerToken DeleteExternalIdPCertificate DeleteExternalIdPConfigurationForDirectory DeleteGroup "
    "DeleteMfaDeviceForUser DeleteProvisioningTenant DeleteUser DisableExternalIdPConfigurationForDirectory "
    "DisableUser EnableExternalIdPConfigurationForDirectory EnableUser ImportExternalIdPCertificate "
    "RemoveMemberFromGroup StartVirtualMfaDeviceRegistration StartWebAuthnDeviceRegistration "
    "UpdateExternalIdPConfigurationForDirectory UpdateGroup UpdateGroupDisplayName UpdateMfaDeviceForUser "
    "UpdatePassword UpdateUser UpdateUserName VerifyEmail"
)
"""The console's directory of people and groups."""

IDENTITY_STORE = (
    "AddRegion CreateGroup CreateGroupMembership CreateIdentityStore CreateUser DeleteGroup DeleteGroupMembership "
    "DeleteIdentityStore DeleteUser RemoveRegion ReserveUser UpdateGroup UpdateIdentityStore UpdateUser"
)
"""The directory of people and groups."""

ORGANIZATIONS = (
    "AcceptHandshake AttachPolicy CancelHandshake CloseAccount CreateAccount CreateGovCloudAccount CreateOrganization "
    "CreateOrganizationalUnit CreatePolicy DeclineHandshake DeleteOrganization DeleteOrganizationalUnit DeletePolicy "
    "DeleteResourcePolicy DeregisterDelegatedAdministrator DetachPolicy DisableAWSServiceAccess DisablePolicyType "
    "EnableAWSServiceAccess EnableAllFeatures EnablePolicyType InviteAccountToOrganization "
    "InviteOrganizationToTransferResponsibility LeaveOrganization MoveAccount PutResourcePolicy "
    "RegisterDelegatedAdministrator RemoveAccountFromOrganization TerminateResponsibilityTransfer "
    "UpdateOrganizationalUnit UpdatePolicy UpdateResponsibilityTransfer"
)
"""AWS Organizations: accounts, organizational units, policies."""

ACCOUNT_ACCESS = "CreateApplication CreateEntitlement DeleteApplication DeleteEntitlement"
"""Account Access Manager."""
