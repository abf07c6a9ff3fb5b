"""A run against its plan: what its log has said, where that leads, and the best way on from there."""
