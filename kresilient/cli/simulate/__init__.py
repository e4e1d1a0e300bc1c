"""`kresilient simulate`: worlds in virtual time."""
