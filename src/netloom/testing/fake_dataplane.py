"""A data plane in memory: what a test asked of it, and failures on demand."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from netloom.model.errors import Failed, NetloomError, NotFound
from netloom.model.names import DataPlaneState, DnsCounts, DnsQuery, DnsSight, HeldPort, NameEntry, Relay, Resolver


class FakeDataPlane:
    """Implements `engine.ports.DataPlane` with the same refusals as the real one.

    `taken` are ports (proto, port) on which a program of the host listens. `fail` is raised once by the next call.
    """

    def __init__(self) -> None:
        self.resolvers: dict[str, Resolver] = {}  # by sandbox
        self.pids: dict[str, int] = {}
        self.entries: dict[str, NameEntry] = {}  # by endpoint
        self.held: dict[tuple[str, str, int], HeldPort] = {}
        self.relays: dict[tuple[str, str, int], Relay] = {}
        self.counts: dict[str, DnsCounts] = {}  # by sandbox
        self.queries: dict[str, tuple[DnsQuery, ...]] = {}  # by network
        self.taken: set[tuple[str, int]] = set()
        self.fail: NetloomError | None = None
        self.calls: list[str] = []

    async def open_sandbox(self, sandbox: str, netns: int, pid: int, resolver: Resolver) -> None:
        self._called("open_sandbox")
        self.resolvers[sandbox] = resolver
        if pid:
            self.pids[sandbox] = pid

    async def bind_sandbox(self, sandbox: str, pid: int) -> None:
        self._called("bind_sandbox")
        self._known(sandbox)
        self.pids[sandbox] = pid

    async def set_resolver(self, sandbox: str, resolver: Resolver) -> None:
        self._called("set_resolver")
        self._known(sandbox)
        self.resolvers[sandbox] = resolver

    async def close_sandbox(self, sandbox: str) -> None:
        self._called("close_sandbox")
        self.resolvers.pop(sandbox, None)
        self.pids.pop(sandbox, None)
        self.entries = {e.endpoint: e for e in self.entries.values() if e.sandbox != sandbox}
        self.held = {key: port for key, port in self.held.items() if not sandbox or port.sandbox != sandbox}
        self.relays = {key: row for key, row in self.relays.items() if not sandbox or row.sandbox != sandbox}

    async def put_names(self, entry: NameEntry) -> None:
        self._called("put_names")
        self.entries[entry.endpoint] = entry

    async def drop_names(self, endpoint: str) -> None:
        self._called("drop_names")
        self.entries.pop(endpoint, None)

    async def hold(self, ports: Sequence[HeldPort]) -> None:
        self._called("hold")
        ports = [wide.part(one, 1) for wide in ports for one in range(wide.port, wide.port + wide.width)]
        for port in ports:
            standing = self.held.get((port.proto, port.ip, port.port))
            if standing is not None and standing.owner != port.owner:
                raise Failed(f"Bind for {port.ip}:{port.port} failed: port is already allocated")
            if standing is None and (port.proto, port.port) in self.taken:
                sides = ":".join(f"[{ip}]:{n}" if ":" in ip else f"{ip}:{n}" for ip, n in _sides(port))
                raise Failed(f"failed to bind host port for {sides}/{port.proto}: address already in use")
        for port in ports:
            self.held[port.proto, port.ip, port.port] = port

    async def relay(self, relays: Sequence[Relay]) -> None:
        self._called("relay")
        for wide in relays:
            for one in range(wide.port, wide.port + wide.width):
                self.relays[wide.proto, wide.ip, one] = wide.part(one, 1)

    async def release(self, owner: str, only: Collection[tuple[str, str, int]] = ()) -> None:
        self._called("release")

        def stays(key: tuple[str, str, int], of: str) -> bool:
            return of != owner or (bool(only) and key not in only)

        self.held = {key: port for key, port in self.held.items() if stays(key, port.owner)}
        self.relays = {key: row for key, row in self.relays.items() if stays(key, row.owner)}

    async def state(self) -> DataPlaneState:
        self._called("state")
        return DataPlaneState(
            sandboxes=tuple(self.resolvers),
            entries=tuple(self.entries.values()),
            held=tuple(self.held.values()),
            relays=tuple(self.relays.values()),
            relay_port=60053,
        )

    async def sight(self, network: str, after: int | None = None) -> DnsSight:
        self._called("sight")
        on_it = [sandbox for sandbox, resolver in self.resolvers.items() if network in resolver.networks]
        queries = self.queries.get(network, ()) if after is not None else ()
        return DnsSight(
            tuple((sandbox, self.counts.get(sandbox, DnsCounts())) for sandbox in on_it),
            tuple(query for query in queries if after is not None and query.number > after),
            max((query.number for query in queries), default=0),
        )

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.fail is not None:
            error, self.fail = self.fail, None
            raise error

    def _known(self, sandbox: str) -> None:
        if sandbox not in self.resolvers:
            raise NotFound(f"the data plane does not know sandbox {sandbox[:12]}")


def _sides(port: HeldPort) -> list[tuple[str, int]]:
    return [(port.ip, port.port), *([(port.target, port.target_port)] if port.target else [])]
