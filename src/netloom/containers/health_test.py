"""Health checks as rules; results and sentences are what Docker 28.5 gave."""

from __future__ import annotations

import pytest

from netloom.containers import health as rules
from netloom.model.container import ContainerConfig
from netloom.model.errors import InvalidArgument
from netloom.model.health import Health, HealthConfig, HealthResult

S = rules.SECOND


def result(code: int, at: int = 0, output: str = "") -> HealthResult:
    return HealthResult(start=at, end=at + 1, exit_code=code, output=output)


@pytest.mark.parametrize(
    ("test", "shell", "command"),
    [
        (("CMD", "curl", "-f", "x"), None, ("curl", "-f", "x")),
        (("CMD-SHELL", "a || b"), None, ("/bin/sh", "-c", "a || b")),
        (("CMD-SHELL", "a"), ("/bin/bash", "-ec"), ("/bin/bash", "-ec", "a")),
        (("NONE",), None, None),
        (("BOGUS", "a"), None, None),
        ((), None, None),
        (None, None, None),
    ],
)
def test_what_is_run(test: tuple[str, ...] | None, shell: tuple[str, ...] | None, command: object) -> None:
    assert rules.probe(ContainerConfig(healthcheck=HealthConfig(test=test), shell=shell)) == command


def test_nothing_is_run_without_a_health_check() -> None:
    assert rules.probe(ContainerConfig()) is None


def test_unhealthy_after_so_many_failures_and_healthy_at_once() -> None:
    config = HealthConfig(retries=2)
    health = rules.after(rules.begun(None), result(1), config, 0)
    assert (health.status, health.failing_streak) == ("starting", 1)
    health = rules.after(health, result(-1), config, 0)
    assert (health.status, health.failing_streak) == ("unhealthy", 2)
    health = rules.after(health, result(0), config, 0)
    assert (health.status, health.failing_streak) == ("healthy", 0)
    health = rules.after(health, result(1), config, 0)
    assert (health.status, health.failing_streak) == ("healthy", 1)


def test_three_failures_by_default() -> None:
    health = Health()
    for _ in range(3):
        assert health.status == "starting"
        health = rules.after(health, result(1), HealthConfig(), 0)
    assert health.status == "unhealthy"


def test_failures_while_it_starts_do_not_count() -> None:
    config = HealthConfig(start_period=5 * S, retries=1)
    health = rules.after(Health(), result(1, at=100 * S + 4 * S), config, 100 * S)
    assert (health.status, health.failing_streak, len(health.log)) == ("starting", 0, 1)
    assert rules.after(health, result(1, at=100 * S + 5 * S), config, 100 * S).status == "unhealthy"


def test_five_results_are_remembered_over_a_restart_too() -> None:
    health = Health()
    for code in range(7):
        health = rules.after(health, result(code), HealthConfig(), 0)
    assert [r.exit_code for r in health.log] == [2, 3, 4, 5, 6]
    again = rules.begun(health)
    assert (again.status, again.failing_streak, again.log) == ("starting", 0, health.log)


def test_when_the_next_probe_comes() -> None:
    config = HealthConfig(interval=7 * S, start_period=10 * S, start_interval=2 * S)
    starting, healthy = Health(), Health(status="healthy")
    assert rules.wait(config, starting, 9 * S) == 2 * S
    assert rules.wait(config, starting, 10 * S) == 7 * S
    assert rules.wait(config, healthy, 1 * S) == 7 * S
    assert rules.wait(HealthConfig(start_period=10 * S), starting, 0) == 5 * S
    assert rules.wait(HealthConfig(), starting, 0) == 30 * S


def test_output_is_cut() -> None:
    assert rules.output(b"x" * 4096) == "x" * 4096
    assert rules.output(b"x" * 4097) == "x" * 4096 + "..."
    assert rules.output(b"\xff") == "\ufffd"


@pytest.mark.parametrize(
    ("ns", "text"),
    [(S, "1s"), (1_500_000_000, "1.5s"), (90 * S, "1m30s"), (3600 * S, "1h0m0s"), (250_000_000, "250ms")],
)
def test_durations_as_go_prints_them(ns: int, text: str) -> None:
    assert rules.too_slow(ns, "") == f"Health check exceeded timeout ({text})"
    assert rules.too_slow(ns, "so far\n") == f"Health check exceeded timeout ({text}): so far\n"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (HealthConfig(interval=1), "Interval in Healthcheck cannot be less than 1ms"),
        (HealthConfig(timeout=-1), "Timeout in Healthcheck cannot be less than 1ms"),
        (HealthConfig(start_period=10), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (HealthConfig(start_interval=10), "StartInterval in Healthcheck cannot be less than 1ms"),
        (HealthConfig(retries=-1), "Retries in Healthcheck cannot be negative"),
    ],
)
def test_what_is_refused(config: HealthConfig, sentence: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        rules.check_health(config)
    assert raised.value.sentence == sentence
