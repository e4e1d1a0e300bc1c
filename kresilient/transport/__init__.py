"""How requests reach a server: the protocol, aiohttp behind it, and credentials."""
