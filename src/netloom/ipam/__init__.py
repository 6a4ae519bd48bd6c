"""Pools and addresses; pure."""
