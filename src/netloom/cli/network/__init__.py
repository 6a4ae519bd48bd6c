"""`netloom network …`, one file for each verb."""
