"""What can be observed: typed events, and the structured log on them."""
