"""Network drivers: they describe, the kernel package does."""
