"""What is measured, each a process of its own that prints one JSON line: see `benchmarks.process.Span`."""
