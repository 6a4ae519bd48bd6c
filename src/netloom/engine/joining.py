"""May a container join the namespaces of the containers that it names?"""

from __future__ import annotations

import msgspec

from netloom.containers.namespaces import joined, target_of
from netloom.engine.tables import Tables
from netloom.model.container import Container
from netloom.model.errors import Conflict, Failed, InvalidArgument, NotFound
from netloom.model.host_config import HostConfig

_SHAREABLE = ("shareable", "host")


def resolved(tables: Tables, host_config: HostConfig) -> HostConfig:
    """`container:REF` names a container by id from now on. Raises InvalidArgument for one that is not there."""
    modes = {}
    for field in ("pid_mode", "ipc_mode"):
        ref = target_of(getattr(host_config, field))
        if ref is None:
            continue
        if not ref:
            raise InvalidArgument('failed to join IPC namespace: invalid name or ID supplied: ""')
        try:
            modes[field] = f"container:{tables.container(ref).id}"
        except NotFound as error:
            raise InvalidArgument(error.sentence) from error
    return msgspec.structs.replace(host_config, **modes) if modes else host_config


def check_joinable(tables: Tables, container: Container) -> None:
    """Raise, in Docker's words, for a target that has gone, does not run, or keeps its IPC namespace to itself."""
    for kind, ref in joined(container.host_config).items():
        prefix = f"failed to join {kind.upper()} namespace: "
        try:
            target = tables.container(ref)
        except NotFound as error:
            raise NotFound(prefix + error.sentence) from error
        if not target.state.running:
            told = f"{prefix}container {target.id} is not running"
            raise Conflict(told) if kind == "ipc" else Failed(told)
        if kind == "ipc" and target.host_config.ipc_mode not in _SHAREABLE:
            hint = "non-shareable IPC (hint: use IpcMode:shareable for the donor container)"
            raise InvalidArgument(f"{prefix}container {target.id}: {hint}")
