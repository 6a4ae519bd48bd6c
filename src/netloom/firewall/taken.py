"""Which ports of the host are published, on which of its addresses; wide spans of them cost what one costs."""

from __future__ import annotations

from netloom.model.endpoint import PortBinding
from netloom.model.spans import Spans


class Taken:
    """Published ports by protocol and number. Those without a port of the host are nobody's concern."""

    def __init__(self) -> None:
        self._single: dict[tuple[str, int], dict[str, None]] = {}  # (protocol, port) → addresses
        self._wide: dict[str, dict[str, Spans[None]]] = {}  # protocol → address → ports

    def put(self, binding: PortBinding) -> None:
        """Add; again is success."""
        if not binding.host_port:
            return
        if binding.width == 1:
            self._single.setdefault((binding.proto, binding.host_port), {})[binding.host_ip] = None
        else:
            spans = self._wide.setdefault(binding.proto, {}).setdefault(binding.host_ip, Spans())
            for first, width in spans.missing(binding.host_port, binding.width):
                spans.put(first, width, None)

    def drop(self, binding: PortBinding) -> None:
        """Forget; unknown is success."""
        if binding.width == 1:
            where = (binding.proto, binding.host_port)
            addresses = self._single.get(where, {})
            addresses.pop(binding.host_ip, None)
            if not addresses:
                self._single.pop(where, None)
            return
        by_address = self._wide.get(binding.proto, {})
        if (spans := by_address.get(binding.host_ip)) is not None:
            for first, _, _ in list(spans.over(binding.host_port, binding.width)):
                spans.pop(first)
            if not spans:
                del by_address[binding.host_ip]

    def among(self, proto: str, first: int, width: int = 1) -> list[tuple[int, str]]:
        """Those among so many ports, ascending: the port, or the first one of several side by side, and its address."""
        ports = range(first, first + width)
        if width <= len(self._single):
            found = [(port, ip) for port in ports for ip in self._single.get((proto, port), ())]
        else:
            found = [
                (port, ip) for (of, port), ips in self._single.items() if of == proto and port in ports for ip in ips
            ]
        for ip, spans in self._wide.get(proto, {}).items():
            found += [(max(start, first), ip) for start, _, _ in spans.over(first, width)]
        return sorted(found) if len(found) > 1 else found

    def all(self) -> set[tuple[str, int, str]]:
        """Every one by itself: protocol, port and address."""
        found = {(proto, port, ip) for (proto, port), ips in self._single.items() for ip in ips}
        for proto, by_address in self._wide.items():
            for ip, spans in by_address.items():
                for first, width, _ in spans.over(0, 65536):
                    found |= {(proto, port, ip) for port in range(first, first + width)}
        return found
