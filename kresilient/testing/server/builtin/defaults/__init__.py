"""The values that built-in kinds have where a client gives none.

They are set when an object is read from a request, before anybody owns its fields, as `SetDefaults_*` do.
"""

from .setters import default

__all__ = ["default"]
