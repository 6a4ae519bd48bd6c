"""The nftables ruleset as data, and the elements that come and go; pure."""
