"""Netlink messages as bytes; no sockets."""
