"""Which events are the same real-world event."""
