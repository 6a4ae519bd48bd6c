"""What the runtime is handed to create a container's processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netloom.containers import namespaces, security
from netloom.containers.logging import log_file
from netloom.containers.spec import has_init, runtime_spec
from netloom.engine.ports import Image, Launch
from netloom.model.container import Container
from netloom.model.volume import VolumeMount


def launch(
    container: Container,
    image: Image,
    files: Mapping[str, str],
    netns: int,
    volumes: tuple[VolumeMount, ...] = (),
    links: Sequence[str] = (),
) -> Launch:
    """`files` are the host's paths of hosts, hostname and resolv.conf; `netns` is an fd, -1 for the host's own."""
    spec = runtime_spec(container, files=files, links=links)
    config, host_config = container.config, container.host_config
    log = log_file(host_config)
    return Launch(
        id=container.id,
        spec=spec,
        netns=netns,
        lower=tuple(image.lower),
        tty=config.tty,
        stdin=config.open_stdin,
        stdin_once=config.stdin_once,
        volumes=volumes,
        seccomp=security.parse(host_config.security_opt, privileged=host_config.privileged).seccomp,
        joined=namespaces.joined(host_config),
        host_cgroups=host_config.cgroupns_mode == namespaces.HOST,
        devices=host_config.devices or (),
        init=has_init(host_config),
        cgroup_parent=host_config.cgroup_parent,
        log=log.kept,
        log_limit=log.limit,
    )
