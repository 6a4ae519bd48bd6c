"""DNS on the wire and the zone behind it; pure."""
