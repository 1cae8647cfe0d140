"""One database role for each kind of process, with what it needs and no more."""

from fundlyhub.database.roles.declared import OWNER, PREFIX, PURPOSE, RIGHTS, ROLES, Role
from fundlyhub.database.roles.granting import NAMES, Reconciled, reconcile

__all__ = ["NAMES", "OWNER", "PREFIX", "PURPOSE", "RIGHTS", "ROLES", "Reconciled", "Role", "reconcile"]
