"""Comparisons that anybody can repeat: `python -m benchmarks --help`."""
