"""`planner sweep`: a grid of variations of one scenario in one table."""
