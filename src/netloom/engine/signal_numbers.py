"""Signals as users name them."""

from __future__ import annotations

import re
import signal

from netloom.model.errors import InvalidArgument


def signal_number(text: str) -> int:
    """`TERM`, `SIGTERM`, `15`, `RTMIN+3` or `RTMAX-3`, in any case. Raises InvalidArgument."""
    name = text.strip().upper().removeprefix("SIG")
    if re.fullmatch(r"[0-9]{1,9}", name) and (number := int(name)):
        if number < signal.NSIG:
            return number
        raise InvalidArgument(f"the linux daemon does not support signal {text}")
    if realtime := re.fullmatch(r"RT(MIN\+|MAX-)([0-9]{1,2})", name):
        offset = int(realtime[2])
        number = signal.SIGRTMIN + offset if realtime[1] == "MIN+" else signal.SIGRTMAX - offset
        if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return number
    try:
        return int(signal.Signals[f"SIG{name}"])
    except KeyError:
        raise InvalidArgument(f"invalid signal: {text}") from None
