"""A checker that stands outside of the product: does the machine hold what `docker inspect` says, and nothing else?

It reads the kernel with `ip`, `nft` and /proc, and the daemon through its API; nothing of the engine is imported.
Each finding is a sentence; an empty list is a clean bill.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from netloom.testing.daemons import Daemon
from netloom.testing.hosts import Netns

_PAIR = ("netloom-in", "netloom-back")  # where published ports wait for the host's own firewall


def check(daemon: Daemon) -> list[str]:
    """Everything that does not agree."""
    world = _World(daemon)
    findings: list[str] = []
    for part in (
        _links,
        _addresses,
        _routes,
        _elements,
        _guards,
        _inside,
        _processes,
        _cgroups,
        _files,
        _volumes,
        _images,
        _mounts,
    ):
        findings += part(world)
    return findings


class _World:
    """What the API says, read once."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.host = daemon.host
        self.networks = [daemon.json("GET", f"/networks/{n['Id']}?netloom=1") for n in daemon.json("GET", "/networks")]
        self.bridges = {n["Bridge"]["Name"]: n for n in self.networks if n["Driver"] == "bridge" and "Bridge" in n}
        self.routed = {b: n for b, n in self.bridges.items() if not n["Bridge"]["LAN"]}  # the host is their router
        self.cooperates = "set offered4 " in self.host.run("nft", "list", "table", "inet", "netloom")
        self.outside = self.host.own_links
        self.shims = {n["HostAccess"]["Interface"]: n for n in self.networks if "HostAccess" in n}
        found = daemon.json("GET", "/containers/json?all=1")
        self.containers = [daemon.json("GET", f"/containers/{c['Id']}/json") for c in found]
        self.running = [c for c in self.containers if c["State"]["Running"] and not c["State"]["Restarting"]]

    def endpoints(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(bridge, entry of `Containers`) of every endpoint."""
        for bridge, network in self.bridges.items():
            for entry in network["Containers"].values():
                yield bridge, entry

    def members(self) -> Iterator[tuple[str, str]]:
        """The host's link to a LAN, and the address of each container of the network there."""
        lans = {b: n for b, n in self.bridges.items() if b not in self.routed} | self.shims
        for link, network in lans.items():
            for entry in network["Containers"].values():
                for address in (entry["IPv4Address"], entry["IPv6Address"]):
                    if address:
                        yield link, address.partition("/")[0]

    def options(self, network: str) -> dict[str, str]:
        """Of a network, by id."""
        return next((n["Options"] for n in self.networks if n["Id"] == network), {})

    def json(self, *argv: str) -> Any:
        text = self.host.run(*argv)
        return json.loads(text) if text.strip() else []


def _compare(what: str, wanted: Iterable[Any], found: Iterable[Any]) -> list[str]:
    want, have = set(wanted), set(found)
    return [f"{what}: {one} is missing" for one in sorted(want - have, key=str)] + [
        f"{what}: {one} has no owner" for one in sorted(have - want, key=str)
    ]


def _links(world: _World) -> list[str]:
    ports = {n["Options"]["parent"]: b for b, n in world.bridges.items() if "parent" in n["Options"]}
    wanted = {(bridge, "") for bridge in world.bridges.keys() - world.outside}
    wanted |= {(entry["HostInterface"], bridge) for bridge, entry in world.endpoints()}
    wanted |= {(name, "") for name in (*_parents_made(world), *world.shims)} | set(ports.items())
    wanted |= {(name, "") for name in _PAIR if world.cooperates}
    links = world.json("ip", "-j", "link")
    found = {
        (link["ifname"], link.get("master", ""))
        for link in links
        if link["ifname"] not in world.outside or link["ifname"] in ports
    }
    down = [
        f"link {link['ifname']} is down"
        for link in links
        if "UP" not in link["flags"] and link["ifname"] not in world.outside
    ]
    return _compare("link", wanted, found) + down


def _parents_made(world: _World) -> set[str]:
    """VLANs of the uplink, and dummies, on which networks stand."""
    networks = [n for n in world.networks if n["Driver"] in ("macvlan", "ipvlan") and not n["ConfigOnly"]]
    return {n["Options"].get("parent") or f"dm-{n['Id'][:12]}" for n in networks} - world.outside


def _addresses(world: _World) -> list[str]:
    wanted = {(_PAIR[1], "192.0.0.8/32")} if world.cooperates else set()
    wanted |= {
        (shim, f"{address}/{128 if ':' in address else 32}")
        for shim, network in world.shims.items()
        for address in network["HostAccess"]["Addresses"]
    }
    for bridge, network in world.bridges.items():
        if network["Bridge"]["Adopted"] or network["Bridge"]["LAN"]:
            wanted |= {(bridge, address) for address in network["Bridge"]["Addresses"]}
            continue
        if network["Options"].get("com.docker.network.bridge.inhibit_ipv4") == "true":
            continue
        for pool in _pools(network):
            if network["EnableIPv6"] if ":" in pool["Subnet"] else network["EnableIPv4"]:
                # Docker shows what the user wrote; without a gateway it is the first address.
                first = str(ip_network(pool["Subnet"])[1])
                gateway = pool.get("Gateway", first).partition("/")[0]
                wanted.add((bridge, f"{gateway}/{pool['Subnet'].rpartition('/')[2]}"))
    found = {
        (link["ifname"], f"{a['local']}/{a['prefixlen']}")
        for link in world.json("ip", "-j", "addr")
        for a in link["addr_info"]
        if a["scope"] == "global" and (link["ifname"] not in world.outside or (link["ifname"], _cidr(a)) in wanted)
    }
    return _compare("address", wanted, found)


def _cidr(told: dict[str, Any]) -> str:
    return f"{told['local']}/{told['prefixlen']}"


def _pools(network: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of which the bridge has an address: none where a DHCP server of the LAN gives them."""
    return [] if network["IPAM"]["Driver"] == "dhcp" else network["IPAM"]["Config"]


def _routes(world: _World) -> list[str]:
    wanted = {
        (bridge, pool["Subnet"])
        for bridge, network in world.bridges.items()
        if network["EnableIPv4"] and bridge not in world.outside
        if not network["Bridge"]["LAN"] or network["Bridge"]["Addresses"]
        for pool in _pools(network)
        if ":" not in pool["Subnet"]
    }
    wanted |= {(shim, a) for shim, a in world.members() if ":" not in a and shim in world.shims}
    found = {(r["dev"], r["dst"]) for r in world.json("ip", "-j", "route") if r["dev"] not in world.outside}
    return _compare("route", wanted, found)


def _elements(world: _World) -> list[str]:
    """Sets and maps of our table: each by what it must hold, those of unknown names not at all."""
    listing = json.loads(world.host.run("nft", "-j", "list", "table", "inet", "netloom"))["nftables"]
    sets: dict[str, list[Any]] = {}
    for item in listing:
        body = item.get("set") or item.get("map")
        if body:
            sets[body["name"]] = [e if isinstance(e, list) else [e, None] for e in body.get("elem", [])]
    for name in [name for name in sets if "_ranges" in name]:
        sets[name.replace("_ranges", "")] += _each(sets[name])
    bridges, internal = set(world.routed), {b for b, n in world.routed.items() if n["Internal"]}
    option = "com.docker.network.bridge.enable_ip_masquerade"
    apart = {b for b, n in world.routed.items() if n["Options"].get("com.docker.network.bridge.enable_icc") == "false"}
    modes = {
        (b, family): n["Options"].get(f"com.docker.network.bridge.gateway_mode_{family}", "nat")
        for b, n in world.routed.items()
        for family in ("ipv4", "ipv6")
        if not n["Internal"]
    }
    unmasked = {b for b, n in world.bridges.items() if n["Options"].get(option) == "false"}
    masked = {key for key, mode in modes.items() if mode.startswith("nat") and key[0] not in unmasked}
    findings = _compare("set bridges", bridges, _keys(sets["bridges"]))
    findings += _compare("set together", {(b, b) for b in {*world.bridges} - apart}, _keys(sets["together"]))
    findings += _compare("set apart", {(b, b) for b in apart}, _keys(sets["apart"]))
    for family in ("4", "6"):
        members = {(link, a) for link, a in world.members() if (":" in a) == (family == "6")}
        findings += _compare(f"set members{family}", members, _keys(sets[f"members{family}"]))
    findings += _compare("set outward", bridges - internal, _keys(sets["outward"]))
    findings += _compare("set internal", internal, _keys(sets["internal"]))
    findings += _compare("set masqueraded", masked, _keys(sets["masqueraded"]))
    for name, mode in (("routed", "routed"), ("unprotected", "nat-unprotected")):
        findings += _compare(f"set {name}", (key for key, one in modes.items() if one == mode), _keys(sets[name]))
    wanted: dict[str, dict[Any, tuple[set[str], int] | None]] = {name: {} for name in _PORT_SETS}
    wanted_open: set[Any] = set()
    for container in world.running:
        settings = container["NetworkSettings"]["Networks"].values()
        own = {s[key] for s in settings for key in ("IPAddress", "GlobalIPv6Address") if s[key]}
        highest = max((s["GwPriority"] for s in settings), default=0)
        holders = [s for s in settings if s["GwPriority"] == highest]  # among equals any may have the ports
        opened = {s[key] for s in holders for key in ("IPAddress", "GlobalIPv6Address") if s[key]}
        for port, bindings in (container["NetworkSettings"]["Ports"] or {}).items():
            number, _, proto = port.partition("/")
            options = [world.options(s["NetworkID"]) for s in holders]
            for binding in bindings or []:
                six = ":" in binding["HostIp"]
                mode = f"com.docker.network.bridge.gateway_mode_ipv{6 if six else 4}"
                if any(one.get(_TRUSTED) or one.get(mode) == "routed" for one in options):
                    wanted_open |= {(a, proto, int(number)) for a in opened if (":" in a) == six}
                if binding["HostPort"]:
                    _want(wanted, proto, binding, (own, int(number)))
    findings += _compare("sets open4 and open6", wanted_open, [*_keys(sets["open4"]), *_keys(sets["open6"])])
    for name, elements in wanted.items():
        findings += _compare(f"{'map' if 'published' in name else 'set'} {name}", elements, _keys(sets[name]))
        if world.cooperates and "published" in name:
            offered = name.replace("published", "offered")
            findings += _compare(f"set {offered}", elements, _keys(sets[offered]))
        for key, value in sets[name]:
            target = elements.get(_key(key))
            if target and (value["concat"][0] not in target[0] or value["concat"][1] != target[1]):
                findings.append(f"map {name}: {_key(key)} leads to {value['concat']}, not to {target}")
    return findings


def _guards(world: _World) -> list[str]:
    """Sets of the bridge family: what the ports of all endpoints may send."""
    listing = json.loads(world.host.run("nft", "-j", "list", "table", "bridge", "netloom"))["nftables"]
    found = {
        item["set"]["name"]: _keys([[e, None] for e in item["set"].get("elem", [])])
        for item in listing
        if "set" in item
    }
    option = "com.docker.network.bridge.enable_icc"
    wanted: dict[str, set[Any]] = {name: set() for name in found if not name.startswith("version_")}
    for bridge, entry in world.endpoints():
        port = entry["HostInterface"]
        if world.bridges[bridge]["Options"].get(option) == "false":
            wanted["apart_ports"].add(port)
        if entry["Guard"] == "off":
            continue
        wanted["guarded"].add(port)
        wanted["guarded_mac"].add((port, entry["MacAddress"]))
        if entry["Guard"] == "any":
            wanted["routing"].add(port)
        own = (port, entry["MacAddress"])
        wanted["guarded4"] |= {(*own, a.partition("/")[0]) for a in (entry["IPv4Address"],) if a}
        wanted["guarded6"] |= {(*own, a.partition("/")[0]) for a in (entry["IPv6Address"],) if a}
    findings = []
    for name in ("guarded", "guarded_mac", "routing", "apart_ports"):
        findings += _compare(f"set {name}", wanted[name], found[name])
    # Link-local and further addresses are not told by the API: their ports are.
    for name in ("guarded4", "guarded6"):
        findings += [f"set {name}: {one} is missing" for one in sorted(wanted[name] - set(found[name]))]
        findings += [
            f"set {name}: {one} has no owner" for one in sorted(found[name]) if one[0] not in wanted["guarded"]
        ]
    return findings


_PORT_SETS = ("published4", "published4_at", "published6", "published6_at", "relayed", "relayed_at")
_TRUSTED = "com.docker.network.bridge.trusted_host_interfaces"


def _want(
    wanted: dict[str, dict[Any, tuple[set[str], int] | None]],
    proto: str,
    binding: dict[str, str],
    target: tuple[set[str], int],
) -> None:
    """The elements of one binding; an IPv6 port leads to the IPv6 address if there is one, and to the relay."""
    ip, port = binding["HostIp"], int(binding["HostPort"])
    any_address = ip in ("0.0.0.0", "::")
    suffix, key = ("", (proto, port)) if any_address else ("_at", (ip, proto, port))
    if ":" not in ip:
        wanted[f"published4{suffix}"][key] = target
        return
    if any(":" in address for address in target[0]):
        wanted[f"published6{suffix}"][key] = target
    if proto != "sctp":
        wanted[f"relayed{suffix}"][key] = None


def _each(ranges: list[Any]) -> list[Any]:
    """Ranges as the single elements that they stand for: each port leads to its own number."""
    single = []
    for key, value in ranges:
        *where, ports = key["concat"]
        for port in range(ports["range"][0], ports["range"][1] + 1):
            single.append([{"concat": [*where, port]}, value and {"concat": [value, port]}])
    return single


def _keys(elements: list[Any]) -> list[Any]:
    return [_key(key) for key, _ in elements]


def _key(key: Any) -> Any:
    return tuple(key["concat"]) if isinstance(key, dict) else key


def _inside(world: _World) -> list[str]:
    """Addresses and default routes inside each sandbox."""
    findings = []
    for container in world.running:
        mode = container["HostConfig"]["NetworkMode"]
        if mode in ("host", "none") or mode.startswith("container:"):
            continue
        settings = container["NetworkSettings"]["Networks"].values()
        wanted = {f"{s['IPAddress']}/{s['IPPrefixLen']}" for s in settings if s["IPAddress"]}
        try:
            with Netns.of(container["State"]["Pid"]) as inside:
                links_all = json.loads(inside.run("ip", "-j", "link") or "[]")
                links = json.loads(inside.run("ip", "-j", "-4", "addr") or "[]")
                links6 = json.loads(inside.run("ip", "-j", "-6", "addr") or "[]")
                routes = json.loads(inside.run("ip", "-j", "-4", "route") or "[]")
        except FileNotFoundError:  # its policy may start it over and over: the next look tells
            findings.append(f"{container['Name']} has just ended")
            continue
        found = {
            f"{a['local']}/{a['prefixlen']}" for link in links if link["ifname"] != "lo" for a in link["addr_info"]
        }
        wanted |= {f"{s['GlobalIPv6Address']}/{s['GlobalIPv6PrefixLen']}" for s in settings if s["GlobalIPv6Address"]}
        found |= {
            f"{a['local']}/{a['prefixlen']}"
            for link in links6
            if link["ifname"] != "lo"
            for a in link["addr_info"]
            if a["scope"] == "global"
        }
        findings += _compare(f"address in {container['Name']}", wanted, found)
        if (count := len([link for link in links_all if link["ifname"] != "lo"])) != len(settings):
            findings.append(f"{container['Name']} has {count} interfaces on {len(settings)} networks")
        outward = [s["Gateway"] for s in settings if s["Gateway"]]
        defaults = [r.get("gateway", "") for r in routes if r["dst"] == "default"]
        if _by_device(world, container):
            continue
        if len(defaults) != (1 if outward else 0) or not set(defaults) <= set(outward):
            findings.append(f"default route in {container['Name']}: {defaults}, gateways are {outward}")
    return findings


def _by_device(world: _World, container: dict[str, Any]) -> bool:
    """May its default route name no gateway?"""
    by_name = {n["Name"]: n for n in world.networks}
    networks = [by_name[name] for name in container["NetworkSettings"]["Networks"]]
    return any(n["Options"].get("ipvlan_mode", "l2") != "l2" for n in networks)


def _processes(world: _World) -> list[str]:
    """conmon of each running container, and nobody else who names our folders."""
    ours = os.fsencode(str(world.daemon.run_dir))
    seen: dict[str, int] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if Path(os.fsdecode(words[0])).name in ("conmon", "crun") and any(ours in word for word in words):
            seen[entry] = 1
    if len(seen) != len(world.running):
        return [f"{len(seen)} conmon and crun processes for {len(world.running)} running containers"]
    return []


def _cgroups(world: _World) -> list[str]:
    """Folders of our instance, in every hierarchy that the machine mounts."""
    wanted = {c["Id"] for c in world.running}
    found = set()
    for parent in _parents(world):
        found |= {one for one in os.listdir(parent) if (parent / one).is_dir()}
    return _compare("cgroup", wanted, found)


def _parents(world: _World) -> Iterator[Path]:
    instance = world.daemon.json("GET", "/info")["ID"]
    root = Path("/sys/fs/cgroup")
    for parent in (root / f"netloom-{instance}", *root.glob(f"*/netloom-{instance}")):
        if parent.is_dir():
            yield parent


def _files(world: _World) -> list[str]:
    """Folders of containers: in the state those of all, in the run directory those of who runs."""
    every, running = {c["Id"] for c in world.containers}, {c["Id"] for c in world.running}
    run_dir = world.daemon.run_dir
    kept = set(_entries(world.daemon.state_dir / "containers"))
    findings = [f"folder: {one} has no owner" for one in sorted(kept - every)]
    findings += _compare("folder", running, kept & running)
    findings += _compare("bundle", running, _entries(run_dir / "bundles"))
    findings += _compare("folder of crun", running, _entries(run_dir / "crun"))
    return findings + _compare("exit file", (), _entries(run_dir / "exits"))


def _entries(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


def _volumes(world: _World) -> list[str]:
    """Folders of volumes, each with its files, and every volume that a container names."""
    told = {v["Name"]: v for v in world.daemon.json("GET", "/volumes")["Volumes"]}
    folder = world.daemon.state_dir / "volumes"
    found = set(os.listdir(folder)) if folder.is_dir() else set()
    named = {m["Name"] for c in world.containers for m in c["Mounts"] if m["Type"] == "volume"}
    lost = [f"files of volume {one} are missing" for one, v in told.items() if not Path(v["Mountpoint"]).is_dir()]
    return [*_compare("volume", told, found), *lost, *_compare("volume", named - set(told), ())]


def _images(world: _World) -> list[str]:
    """Configurations are those of images, and of those that containers were made of; nothing is in the making."""
    folder = world.daemon.state_dir / "images"
    if not folder.is_dir():
        return []
    known = {i["Id"]: i for i in world.daemon.json("GET", "/images/json")}
    host = {key for key, image in known.items() if "host:latest" in image["RepoTags"]}
    wanted = (known.keys() | {c["Image"] for c in world.containers}) - host
    layers = {
        layer
        for key in known.keys() - host
        for layer in world.daemon.json("GET", f"/images/{key}/json")["RootFS"].get("Layers", [])
    }
    found = {f"sha256:{one}" for one in os.listdir(folder / "layers")}
    findings = _compare("image", wanted, (f"sha256:{one}" for one in os.listdir(folder / "configs")))
    findings += [f"layer: {one} is missing" for one in sorted(layers - found)]
    if wanted == known.keys() - host:
        findings += [f"layer: {one} has no owner" for one in sorted(found - layers)]
    return findings + [f"image in the making: {one}" for one in os.listdir(folder / "tmp")]


def _mounts(world: _World) -> list[str]:
    """Overlays are mounted where their containers are, and nowhere else: not here, not in any thread of the daemon."""
    ours = (f"{world.daemon.state_dir}/", f"{world.daemon.run_dir}/")
    views = [Path("/proc/self/mounts"), *Path(f"/proc/{world.daemon.pid}/task").glob("*/mounts")]
    lines = {line for view in views for line in view.read_text().splitlines() if any(one in line for one in ours)}
    return [f"mount: {line}" for line in sorted(lines)]
