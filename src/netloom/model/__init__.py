"""Immutable values shared by every layer: no I/O, no clock, no randomness."""
