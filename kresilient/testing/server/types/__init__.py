"""The types of built-in kinds: what a server knows of an object's fields."""
