"""The demo: a fleet of agents that polls, then follows, and comes through an outage."""
