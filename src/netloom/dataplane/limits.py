"""What the process needs of the kernel's limits."""

from __future__ import annotations

import resource

_WANTED = 1 << 20


def raise_descriptor_limit() -> int:
    """As many descriptors as we are allowed, at most a million; how many that is.

    Raising the hard limit takes CAP_SYS_RESOURCE and is bounded by fs.nr_open; without it the hard limit is used.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (_WANTED, hard):
        if wanted <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
            return wanted
        except (ValueError, OSError):
            continue
    return soft
