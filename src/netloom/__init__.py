"""netloom: Docker's networking model on the Linux kernel, behind the Docker Engine API."""

__version__ = "0.1.0"
