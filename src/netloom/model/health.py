"""Health checks: what was asked for, and how the container fares. Durations are ns, as in Docker's JSON."""

from __future__ import annotations

from msgspec import Struct


class HealthConfig(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """`Healthcheck`: `test` is [], ["NONE"], ["CMD", args…] or ["CMD-SHELL", command]; 0 means the default."""

    test: tuple[str, ...] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class HealthResult(Struct, frozen=True):
    """One probe. Times are ns since the epoch."""

    start: int
    end: int
    exit_code: int
    output: str


class Health(Struct, frozen=True):
    """How a container with a health check fares: starting, healthy or unhealthy, and the last probes, oldest first."""

    status: str = "starting"
    failing_streak: int = 0
    log: tuple[HealthResult, ...] = ()
