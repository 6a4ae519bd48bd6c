"""Events: order, back-log, filters."""
