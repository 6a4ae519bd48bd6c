"""Desired and observed become steps; pure."""
