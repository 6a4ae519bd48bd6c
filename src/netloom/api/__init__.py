"""The Docker Engine API on a unix socket: routes, JSON shapes, streams. Knows HTTP; knows no kernel."""
