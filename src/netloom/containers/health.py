"""Health checks as rules: what is run and when, and what a result means. Times and durations are ns."""

from __future__ import annotations

import msgspec

from netloom.model.container import ContainerConfig
from netloom.model.errors import InvalidArgument
from netloom.model.health import Health, HealthConfig, HealthResult

SECOND = 1_000_000_000
INTERVAL = TIMEOUT = 30 * SECOND  # Docker's defaults, as are the next two
START_INTERVAL = 5 * SECOND
RETRIES = 3
OUTPUT = 4096  # bytes kept of what a probe says
_SHORTEST = 1_000_000
_REMEMBERED = 5  # results
_SHELL = ("/bin/sh", "-c")


def check_health(config: HealthConfig) -> None:
    """Raise InvalidArgument, in Docker's words, for a duration or a count that makes no sense."""
    for name, value in (
        ("Interval", config.interval),
        ("Timeout", config.timeout),
        ("StartPeriod", config.start_period),
        ("StartInterval", config.start_interval),
    ):
        if value and value < _SHORTEST:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if config.retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")


def probe(config: ContainerConfig) -> tuple[str, ...] | None:
    """The command of a container's health check; None when it has none, or one of a kind that nobody knows."""
    test = config.healthcheck.test if config.healthcheck is not None else None
    if not test:
        return None
    kind, *words = test
    if kind == "CMD":
        return tuple(words)
    if kind == "CMD-SHELL":
        return (*(config.shell or _SHELL), *words)
    return None


def begun(former: Health | None) -> Health:
    """At a start of the container; what earlier probes said is still told."""
    return Health(log=former.log if former is not None else ())


def wait(config: HealthConfig, health: Health, running: int) -> int:
    """How long until the next probe of a container that has been running for so long."""
    if health.status == "starting" and running < config.start_period:
        return config.start_interval or START_INTERVAL
    return config.interval or INTERVAL


def after(health: Health, result: HealthResult, config: HealthConfig, started: int) -> Health:
    """The health with one more result. Failures within the start period do not count before the first success."""
    health = msgspec.structs.replace(health, log=(*health.log, result)[-_REMEMBERED:])
    if result.exit_code == 0:
        return msgspec.structs.replace(health, status="healthy", failing_streak=0)
    if health.status == "starting" and result.start - started < config.start_period:
        return health
    streak = health.failing_streak + 1
    failed = streak >= (config.retries or RETRIES)
    return msgspec.structs.replace(health, status="unhealthy" if failed else health.status, failing_streak=streak)


def output(data: bytes, *, cut: bool = False) -> str:
    """What a probe said, as it is shown; `cut` when there was more of it."""
    return data[:OUTPUT].decode(errors="replace") + ("..." if cut or len(data) > OUTPUT else "")


def too_slow(timeout: int, said: str) -> str:
    """The output of a probe that was killed at its timeout, the duration as Go prints it."""
    told = f"Health check exceeded timeout ({go_duration(timeout)})"
    return f"{told}: {said}" if said else told


def go_duration(value: int) -> str:
    """1500000000 as `1.5s`, 90 s as `1m30s`: Go's time.Duration.String for 1 ms and more."""
    if value < SECOND:
        return f"{value / 1e6:.6f}".rstrip("0").rstrip(".") + "ms"
    minutes, rest = divmod(value, 60 * SECOND)
    seconds = f"{rest // SECOND}.{rest % SECOND:09d}".rstrip("0").rstrip(".") + "s"
    if not minutes:
        return seconds
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + f"{minutes}m{seconds}"
