"""What the server knows of built-in kinds: their defaults, what it sets itself, and what it refuses."""
