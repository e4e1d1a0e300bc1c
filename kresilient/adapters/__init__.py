"""Other clients' objects on this library: existing code, through the one door."""
