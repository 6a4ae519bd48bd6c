"""Restart policies, as Docker 28.5 was seen to follow them."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from netloom.containers.restart import check_policy, next_delay, restarts, starts_with_daemon
from netloom.model.container import Container, ContainerConfig, State
from netloom.model.errors import InvalidArgument
from netloom.model.host_config import HostConfig, RestartPolicy

MS = 1_000_000


def container(policy: str, *, count: int = 0, code: int = 0, by_hand: bool = False) -> Container:
    name, _, most = policy.partition(":")
    return Container(
        id="0" * 64,
        name="web",
        created=0,
        image_id="",
        config=ContainerConfig(),
        host_config=HostConfig(restart_policy=RestartPolicy(name, int(most or 0))),
        restart_count=count,
        manually_stopped=by_hand,
        state=State(status="exited", exit_code=code),
    )


def test_the_delay_doubles_up_to_a_minute() -> None:
    delays, delay = [], 0
    for _ in range(12):
        delay = next_delay(delay, 0)
        delays.append(delay // MS)
    assert delays == [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]


def test_ten_seconds_of_running_begin_anew() -> None:
    assert next_delay(51_200 * MS, 10_000 * MS) == 100 * MS
    assert next_delay(400 * MS, 9_999 * MS) == 800 * MS


@pytest.mark.parametrize(
    ("policy", "code", "count", "again"),
    [
        ("no", 1, 0, False),
        ("", 1, 0, False),
        ("always", 0, 900, True),
        ("unless-stopped", 0, 0, True),
        ("on-failure", 0, 0, False),
        ("on-failure", 255, 900, True),
        ("on-failure:2", 1, 1, True),
        ("on-failure:2", 1, 2, False),
    ],
)
def test_who_starts_again(policy: str, code: int, count: int, again: bool) -> None:
    ended = container(policy, count=count)
    assert restarts(ended, code) is again
    assert not restarts(replace(ended, manually_stopped=True), code)


@pytest.mark.parametrize(
    ("policy", "code", "by_hand", "starts"),
    [
        ("no", 137, True, False),
        ("always", 137, True, True),
        ("always", 0, False, True),
        ("unless-stopped", 137, True, False),
        ("unless-stopped", 0, False, True),
        ("on-failure", 137, True, True),
        ("on-failure", 0, False, False),
        ("on-failure:2", 137, True, True),
    ],
)
def test_who_starts_with_the_daemon(policy: str, code: int, by_hand: bool, starts: bool) -> None:
    assert starts_with_daemon(container(policy, code=code, by_hand=by_hand)) is starts


def test_a_bound_that_was_reached_holds_for_the_next_daemon_too() -> None:
    assert not starts_with_daemon(container("on-failure:2", code=1, count=2))


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (
            RestartPolicy("bogus"),
            (
                "invalid restart policy: unknown policy 'bogus'; "
                "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
            ),
        ),
        (
            RestartPolicy("always", 3),
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (RestartPolicy("on-failure", -1), "invalid restart policy: maximum retry count cannot be negative"),
    ],
)
def test_policies_that_make_no_sense(policy: RestartPolicy, sentence: str) -> None:
    with pytest.raises(InvalidArgument) as raised:
        check_policy(policy)
    assert raised.value.sentence == sentence
