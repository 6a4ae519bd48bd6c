"""The process that never closes: DNS sockets, held ports, relay."""
