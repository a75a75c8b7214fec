"""Benches: what a merchant waits for, measured on one machine with everything on it."""
