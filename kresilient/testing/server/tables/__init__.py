"""The columns and cells of `Table`, one module for the kinds of each API group."""
