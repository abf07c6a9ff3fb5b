"""Sweeps: one scenario solved over a grid of variations, on any executor, resumable, into one tidy table."""
