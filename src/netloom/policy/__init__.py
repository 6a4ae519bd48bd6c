"""Labels, networks, CIDRs and names as users write them become elements of the firewall's sets."""
