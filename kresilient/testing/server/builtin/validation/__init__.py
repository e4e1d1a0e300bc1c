"""What the server refuses in objects of built-in kinds, in its own words (422)."""

from .check import check_new, check_update, name_rule

__all__ = ["check_new", "check_update", "name_rule"]
