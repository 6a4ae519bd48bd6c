"""What an image says of the containers made of it, put under what their user said (moby, daemon/commit.go: merge)."""

from __future__ import annotations

import msgspec

from netloom.model.container import ContainerConfig
from netloom.model.errors import InvalidArgument
from netloom.model.health import HealthConfig
from netloom.model.image import ImageConfig


def merged(config: ContainerConfig, image: ImageConfig) -> ContainerConfig:
    """The user's configuration, completed by the image's. An entrypoint of one's own drops the image's command.

    Raises InvalidArgument when no program is left.
    """
    cmd, entrypoint = config.cmd, config.entrypoint
    if not entrypoint:
        cmd = cmd or image.cmd
        if entrypoint is None:
            entrypoint = image.entrypoint
    config = msgspec.structs.replace(
        config,
        user=config.user or image.user,
        exposed_ports={**(image.exposed_ports or {}), **(config.exposed_ports or {})} or config.exposed_ports,
        env=_env(config.env, image.env),
        cmd=cmd,
        entrypoint=entrypoint,
        healthcheck=_health(config.healthcheck, image.healthcheck),
        volumes={**(image.volumes or {}), **(config.volumes or {})} or config.volumes,
        working_dir=config.working_dir or image.working_dir,
        labels={**(image.labels or {}), **config.labels},
        stop_signal=config.stop_signal or image.stop_signal,
    )
    if not command(config):
        raise InvalidArgument("no command specified")
    return config


def command(config: ContainerConfig) -> list[str]:
    """The program and its arguments. `--entrypoint ""` clears the image's entrypoint."""
    entrypoint = () if config.entrypoint == ("",) else config.entrypoint
    return [*(entrypoint or ()), *(config.cmd or ())]


def _env(own: tuple[str, ...] | None, image: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """One's own first, then the image's that have other names."""
    if not own:
        return image or own
    names = {entry.partition("=")[0] for entry in own}
    return (*own, *(entry for entry in image or () if entry.partition("=")[0] not in names))


def _health(own: HealthConfig | None, image: HealthConfig | None) -> HealthConfig | None:
    """What the user left at its default is as the image says."""
    if own is None or image is None:
        return own or image
    return HealthConfig(
        test=own.test or image.test,
        interval=own.interval or image.interval,
        timeout=own.timeout or image.timeout,
        start_period=own.start_period or image.start_period,
        start_interval=own.start_interval or image.start_interval,
        retries=own.retries or image.retries,
    )
