"""Addresses by DHCP (RFC 2131): messages, frames, terms of a lease and the client's side of a conversation. Pure."""
