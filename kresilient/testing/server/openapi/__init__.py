"""`/openapi/v3` and `/openapi/v2`: schemas and operations of all that is served, made from its types."""
