"""Intent, plan, kernel, status: the one road."""
