"""Named volumes on disk."""
