"""Restart policies: when a container that has ended is started again, and after how long. Times are ns."""

from __future__ import annotations

from netloom.model.container import Container
from netloom.model.errors import InvalidArgument
from netloom.model.host_config import RestartPolicy

MILLISECOND = 1_000_000
FIRST_DELAY = 100 * MILLISECOND
LONGEST_DELAY = 60_000 * MILLISECOND
SETTLED = 10_000 * MILLISECOND  # one that ran so long begins with the first delay again

_POLICIES = frozenset({"no", "always", "on-failure", "unless-stopped"})


def check_policy(policy: RestartPolicy) -> None:
    """Raise InvalidArgument, in Docker's words, for a policy that does not exist or contradicts itself."""
    if (policy.name or "no") not in _POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{policy.name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if policy.maximum_retry_count < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")


def next_delay(former: int, ran: int) -> int:
    """How long to wait before the next start, after one that followed `former` and ran for `ran`."""
    if not former or ran >= SETTLED:
        return FIRST_DELAY
    return min(2 * former, LONGEST_DELAY)


def restarts(container: Container, code: int) -> bool:
    """Does one that has just ended with this code start again? One that was stopped by hand does not."""
    return not container.manually_stopped and _wanted(container, code)


def starts_with_daemon(container: Container) -> bool:
    """Does one that does not run start with the daemon, as Docker decides it?

    `always` starts also what was stopped by hand, and on-failure looks at nothing but the code and the count. One that
    never ran has not ended either, and so has nothing to be started again from.
    """
    if container.host_config.restart_policy.name == "unless-stopped" and container.manually_stopped:
        return False
    return _wanted(container, container.state.exit_code)


def _wanted(container: Container, code: int) -> bool:
    policy = container.host_config.restart_policy
    if policy.name == "on-failure":
        return code != 0 and not 0 < policy.maximum_retry_count <= container.restart_count
    return policy.name in ("always", "unless-stopped")
