"""Containers' processes: crun under conmon."""
