"""Commands of `netloom port`."""
