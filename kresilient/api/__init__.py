"""The ground floor: what the Kubernetes API is made of. No I/O, no clock, no tasks."""
