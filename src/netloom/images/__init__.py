"""Images and their layers."""
