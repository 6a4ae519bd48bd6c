"""A policy against the networks and the other policies that stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from netloom.model.errors import InvalidArgument, NotFound
from netloom.model.network import Network
from netloom.model.policy import Entry, Policy
from netloom.model.truth import truth_of
from netloom.policy.rulebook import crosses

_GUARD = "netloom.guard"


def refuse_unfit(made: Policy, networks: Mapping[str, Network], others: Iterable[Policy]) -> None:
    """Raise for a network that is not there or cannot be judged, and for what another policy says the contrary of."""
    _refuse_trial_of_names(made)
    for name in made.closed:
        _judged(name, networks, f"policy {made.name}: default")
    for entry in made.entries:
        where = f"policy {made.name}: entry {entry.name}"
        for side, peer in (("from", entry.source), ("to", entry.target)):
            if peer.network:
                _judged(peer.network, networks, f"{where}: {side}")
        if crosses(entry):
            _crossable(entry, networks, where)
    for other in others:
        if other.name != made.name:
            _refuse_contrary(made, other)


def _refuse_trial_of_names(made: Policy) -> None:
    for entry in made.entries:
        if made.dry_run and entry.target.name:
            raise InvalidArgument(
                f"policy {made.name}: entry {entry.name}: a dry run knows no addresses of names",
                remedy="write a cidr, or leave the entry out of the dry run",
            )


def refuse_unjudged(network: Network, where: str) -> None:
    """Raise for a network that cannot be judged; `where` says who speaks of it."""
    if not network.bridge or network.config_only:
        raise InvalidArgument(
            f"{where}: network {network.name} (driver {network.driver}) does not pass this host's firewall",
            remedy="policies judge networks of the driver bridge",
        )
    if network.lan:
        raise InvalidArgument(
            f"{where}: the LAN carries what containers of network {network.name} send, past this host's firewall",
            remedy="name their addresses as a cidr, for what passes the host, or create the network without a LAN",
        )
    if network.adopted:
        raise InvalidArgument(
            f"{where}: bridge {network.bridge} of network {network.name} is somebody else's, who says whether what it"
            " carries is judged",
            remedy="let netloom make the bridge",
        )
    if truth_of(network.options.get(_GUARD, "")) is False:
        raise InvalidArgument(
            f"{where}: containers of network {network.name} may call themselves what they like ({_GUARD}=false)",
            remedy="create it without that option",
        )


def refuse_named(network: Network, policies: Iterable[Policy]) -> None:
    """Raise for a network that comes, cannot be judged, and has a name of which a policy speaks."""
    for policy in policies:
        sides = [side for entry in policy.entries for side in (entry.source, entry.target)]
        if network.name in policy.closed or any(side.network == network.name for side in sides):
            refuse_unjudged(network, f"policy {policy.name}")


def _judged(name: str, networks: Mapping[str, Network], where: str) -> None:
    network = networks.get(name)
    if network is None:
        raise NotFound(f"{where}: network {name} not found", remedy="`netloom network ls` lists them")
    refuse_unjudged(network, where)


def _crossable(entry: Entry, networks: Mapping[str, Network], where: str) -> None:
    for name in (entry.source.network, entry.target.network):
        if networks[name].internal:
            raise InvalidArgument(f"{where}: network {name} is internal", remedy="nothing leads into it or out of it")


def _refuse_contrary(made: Policy, other: Policy) -> None:
    for mine in made.entries:
        for theirs in other.entries:
            same = (mine.source, mine.target, set(mine.ports)) == (theirs.source, theirs.target, set(theirs.ports))
            if same and mine.allow != theirs.allow and made.dry_run == other.dry_run:
                raise InvalidArgument(
                    f"policy {made.name}: entry {mine.name} ({mine}) is the contrary of {other.name}/{theirs.name}",
                    remedy="remove one of them",
                )
