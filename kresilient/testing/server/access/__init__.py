"""Who may do what: credentials, impersonation, roles, reviews of all that, and who has to wait."""

from .access import Access, Authorization, Identity
from .attributes import Attributes
from .decision import Decision, forbidden

__all__ = ["Access", "Attributes", "Authorization", "Decision", "Identity", "forbidden"]
