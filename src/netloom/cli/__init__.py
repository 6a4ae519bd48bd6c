"""The netloom command: one file for each subcommand."""
