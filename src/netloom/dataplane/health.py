"""Which servers outside failed lately, and when to try one again. No clock: `now` is an argument, in seconds."""

from __future__ import annotations

from collections.abc import Sequence

from netloom.model.names import Upstream

FIRST_PAUSE = 2.0  # seconds for which a server that failed is asked last
LONGEST_PAUSE = 60.0  # a pause doubles each time that the server fails again


class _Illness:
    __slots__ = ("pause", "until")

    def __init__(self, until: float, pause: float) -> None:
        self.until = until
        self.pause = pause


class Health:
    """Nobody waits for a server that is known to be ill: it gets a question of its own when its pause is over."""

    def __init__(self) -> None:
        self._served: dict[Upstream, float] = {}
        self._ill: dict[Upstream, _Illness] = {}

    def order(self, upstreams: Sequence[Upstream]) -> list[Upstream]:
        """The servers as configured, the ill ones last."""
        if not self._ill:
            return list(upstreams)
        return sorted(upstreams, key=self._ill.__contains__)

    def due(self, upstreams: Sequence[Upstream], now: float) -> list[Upstream]:
        """The ill ones whose pause is over, each told once for each pause; none while nobody is well."""
        if not self._ill or all(one in self._ill for one in upstreams):
            return []
        due = [one for one in upstreams if (illness := self._ill.get(one)) is not None and illness.until <= now]
        for one in due:
            self._ill[one].until = now + self._ill[one].pause
        return due

    def failed(self, upstream: Upstream, asked: float, now: float, *, again: bool = False) -> None:
        """It did not serve who asked it then. Who served another one meanwhile is well: the name may be to blame.

        `again`: it was asked because it was due; only then its pause grows.
        """
        if self._served.get(upstream, -1.0) >= asked:
            return
        illness = self._ill.get(upstream)
        if illness is None:
            self._ill[upstream] = _Illness(now + FIRST_PAUSE, FIRST_PAUSE)
        elif again:
            illness.pause = min(2 * illness.pause, LONGEST_PAUSE)
            illness.until = now + illness.pause

    def served(self, upstream: Upstream, now: float) -> None:
        """It answered."""
        self._served[upstream] = now
        if self._ill:
            self._ill.pop(upstream, None)

    def keep_only(self, upstreams: Sequence[Upstream]) -> None:
        """Forget all others."""
        self._served = {one: when for one, when in self._served.items() if one in upstreams}
        self._ill = {one: illness for one, illness in self._ill.items() if one in upstreams}
