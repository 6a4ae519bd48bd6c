"""What a container is, as data: the OCI spec, its files, its life; pure."""
