"""kresilient: Kubernetes clients for asyncio that cannot take the API server down."""

__version__ = "0.1.0"
