"""Intent on disk."""
