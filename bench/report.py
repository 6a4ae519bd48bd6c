"""The closing table: ours, Docker's, the ratio, and the figure that was to be reached."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

from msgspec import Struct

from bench.figures import Figures, percentile
from bench.healing import HARMS
from bench.paths import COST, GUARDED, PATH, UNGUARDED
from bench.policies import ENTRIES
from bench.publishing import MANY as MANY_PORTS
from demo.table import table

MANY, FEW = 500, 5  # endpoints on the network, of the last scenario


class Row(Struct, frozen=True):
    """One line. A ratio is None where one of its parts was not measured."""

    what: str
    ours: str
    other: str
    ratio: float | None
    target: str
    reached: bool | None


def _time(figures: Figures, engine: str, what: str) -> str:
    median, p95 = figures.median(engine, what), figures.p95(engine, what)
    return "–" if median is None or p95 is None else f"{median:.2f} ms ({p95:.2f})"


def _plain(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{value:.1f} {unit}"


def _divide(upper: float | None, lower: float | None) -> float | None:
    return None if upper is None or lower is None or lower == 0 else upper / lower


def _at_least(ratio: float | None, bound: float) -> bool | None:
    return None if ratio is None else ratio >= bound


def _at_most(ratio: float | None, bound: float) -> bool | None:
    return None if ratio is None else ratio <= bound


def _faster(figures: Figures, what: str, bound: float) -> Row:
    ratio = _divide(figures.median("docker", what), figures.median("netloom", what))
    ours, other = _time(figures, "netloom", what), _time(figures, "docker", what)
    return Row(what, ours, other, ratio, f"Docker ≥ {bound:g} ×", _at_least(ratio, bound))


def _beside(figures: Figures, what: str) -> Row:
    """Shown, without a figure to reach."""
    row = _faster(figures, what, 1)
    return Row(row.what, row.ours, row.other, row.ratio, "", None)


def _bound(figures: Figures) -> Row:
    ratio = _divide(figures.median("netloom", "connect"), figures.median("kernel", "connect"))
    ours, other = _time(figures, "netloom", "connect"), f"kernel {_time(figures, 'kernel', 'connect')}"
    return Row("connect, beside the kernel's own", ours, other, ratio, "≤ 4 × the kernel", _at_most(ratio, 4))


def _crowd(figures: Figures) -> Row:
    what = "operations a second, 8 clients"
    ours, docker = figures.median("netloom", what), figures.median("docker", what)
    ratio = _divide(ours, docker)
    return Row(what, _plain(ours, "/s"), _plain(docker, "/s"), ratio, "≥ 15 × Docker", _at_least(ratio, 15))


def _ping(figures: Figures) -> Row:
    what = "ping under load"
    p95 = figures.p95("netloom", what)
    ours, other = _time(figures, "netloom", what), _time(figures, "docker", what)
    return Row("_ping meanwhile", ours, other, None, "95th < 2 ms", None if p95 is None else p95 < 2)


def _share(figures: Figures) -> Row:
    """Each start on a bridge less the start on no network just before it."""

    def share(engine: str) -> float | None:
        samples = figures.samples[engine]
        bridge, none = samples.get("start on a bridge"), samples.get("start on none")
        return median(b - n for b, n in zip(bridge, none, strict=True)) if bridge and none else None

    ours, docker = share("netloom"), share("docker")
    ratio = _divide(ours, docker) if docker is not None and docker > 0 else None  # else it is lost in the noise
    what = "networking share of a start"
    return Row(what, _plain(ours, "ms"), _plain(docker, "ms"), ratio, "≤ 0.1 × Docker", _at_most(ratio, 0.1))


def _memory(figures: Figures, what: str) -> Row:
    ours, docker = figures.median("netloom", what), figures.median("docker", what)
    ratio = _divide(ours, docker)
    return Row(what, _plain(ours, "MiB"), _plain(docker, "MiB"), ratio, "≤ 0.5 × Docker", _at_most(ratio, 0.5))


def _ports(figures: Figures, many: int) -> Row:
    """What many cost beside one."""

    def growth(engine: str) -> str:
        more, one = (figures.median(engine, f"start with {count} published ports") for count in (many, 1))
        ratio = _divide(more, one)
        return "" if ratio is None else f"{engine} {ratio:.2f} ×"

    ours = _divide(*(figures.median("netloom", f"start with {count} published ports") for count in (many, 1)))
    others = ", ".join(filter(None, map(growth, ("docker", "netavark")))) or "–"
    shown = "–" if ours is None else f"{ours:.2f} ×"
    return Row(f"start with {many:,} ports / with 1", shown, others, ours, "≤ 1.2 ×", _at_most(ours, 1.2))


def _peer(figures: Figures, what: str) -> Row:
    """netavark's time for the network alone, beside ours for the whole."""
    ours, other = _time(figures, "netloom", what), f"netavark {_time(figures, 'netavark', what)}"
    return Row(what, ours if figures.median("netavark", what) else "–", other, None, "", None)


def _crowded(figures: Figures) -> Row:
    many, empty = (f"attach beside {MANY_PORTS} elements", "attach on an empty host")
    ratio = _divide(figures.median("netloom", many), figures.median("netloom", empty))
    ours, other = _time(figures, "netloom", many), f"empty {_time(figures, 'netloom', empty)}"
    return Row(many, ours, other, ratio, "≤ 1.1 × empty", _at_most(ratio, 1.1))


def _healed(figures: Figures, harm: str) -> Row:
    what = f"healed: {harm}"
    worst = max(figures.samples["netloom"].get(what, ()), default=None)
    return Row(what, _time(figures, "netloom", what), "–", None, "all < 1 s", None if worst is None else worst < 1000)


def _growth(figures: Figures) -> Row:
    def growth(engine: str) -> float | None:
        many, few = (figures.median(engine, f"connect as number {size}") for size in (MANY, FEW))
        return _divide(many, few)

    ours, kernel = growth("netloom"), growth("kernel")
    shown = ["–" if value is None else f"{value:.2f} ×" for value in (ours, kernel)]
    ratio = _divide(ours, kernel)
    what = f"growth of connect, number {MANY} / {FEW}"
    return Row(what, shown[0], f"kernel {shown[1]}", ratio, "≤ 1.2 × the kernel's", _at_most(ratio, 1.2))


def _kept(figures: Figures) -> Row:
    what = "memory for each container"
    ours, docker = figures.median("netloom", what), figures.median("docker", what)
    ratio = _divide(ours, docker)
    return Row(what, _plain(ours, "MiB"), _plain(docker, "MiB"), ratio, "≤ 0.25 × Docker", _at_most(ratio, 0.25))


def _rate(figures: Figures, what: str, unit: str, bound: float) -> Row:
    ours, docker = figures.median("netloom", what), figures.median("docker", what)
    ratio = _divide(ours, docker)
    return Row(what, _plain(ours, unit), _plain(docker, unit), ratio, f"≥ {bound:g} × Docker", _at_least(ratio, bound))


def _restart(figures: Figures) -> Row:
    found = [what for what in figures.samples["netloom"] if what.startswith("restart with")]
    what = found[0] if found else "restart with containers"
    ours, docker = figures.median("netloom", what), figures.median("docker", what)
    ratio = _divide(ours, docker)
    shown = _time(figures, "netloom", what), _time(figures, "docker", what)
    return Row(what, *shown, ratio, "≤ 0.1 × Docker", _at_most(ratio, 0.1))


def _policed(figures: Figures, what: str, bound: float) -> Row:
    """With 1,000 entries beside none; each with beside the without just before it."""
    samples = figures.samples["netloom"]
    many, none = (samples.get(f"{what}, {count} policy entries", []) for count in (ENTRIES, 0))
    ratio = median(a / b for a, b in zip(many, none, strict=False)) if many and none else None
    unit = "MiB/s" if what.startswith("MiB") else "/s"
    ours, other = (_plain(median(found) if found else None, unit) for found in (many, none))
    target = f"≥ {bound:g} × none" if bound else ""
    shown = f"{what}, {ENTRIES:,} policy entries"
    return Row(shown, ours, f"{other} none", ratio, target, _at_least(ratio, bound) if bound else None)


_STANDING = {"crowd": ", 1,000 sandboxes"}


def _asked(figures: Figures, what: str, other: str, bound: float, *, engine: str = "netloom") -> Row:
    """Queries a second beside those of another."""
    ours, theirs = figures.median(engine, what), figures.median(other, what)
    ratio = _divide(ours, theirs)
    shown = f"{_plain(theirs, '/s')} {other}"
    return Row(
        what + _STANDING.get(engine, ""),
        _plain(ours, "/s"),
        shown,
        ratio,
        f"≥ {bound:g} × {other}" if bound else "",
        _at_least(ratio, bound) if bound else None,
    )


def _latency(figures: Figures, other: str, bound: float, *, engine: str = "netloom") -> Row:
    what = "one query alone"
    ours, theirs = figures.median(engine, what), figures.median(other, what)
    ratio = _divide(ours, theirs)
    shown = [f"{value * 1e3:.0f} µs" if value is not None else "–" for value in (ours, theirs)]
    label = what + _STANDING.get(engine, "")
    return Row(label, shown[0], f"{shown[1]} {other}", ratio, f"≤ {bound:g} × {other}", _at_most(ratio, bound))


def _undisturbed(figures: Figures, what: str) -> Row:
    lost, latest = (figures.samples["netloom"].get(f"{kind} while {what}") for kind in ("lost", "latest"))
    if not lost or not latest:
        return Row(what, "–", "–", None, "", None)
    shown = f"{sum(lost):.0f} lost, latest {max(latest):.0f} ms"
    return Row(f"names while {what}", shown, "–", None, "0, ≤ 100 ms", not sum(lost) and max(latest) <= 100)


def _cost(figures: Figures, kind: str, other: str, *, engine: str = "netloom", bound: float = 0) -> Row:
    """Processor time of one query; whatever else the machine does, it stays nearly the same."""
    what = f"processor time of {kind} names"
    ours, theirs = figures.median(engine, what), figures.median(other, what)
    shown = [f"{value * 1e6:.1f} µs" if value is not None else "–" for value in (ours, theirs)]
    ratio, label = _divide(ours, theirs), what + _STANDING.get(engine, "")
    target, reached = (f"≤ {bound:g} × {other}", _at_most(ratio, bound)) if bound else ("", None)
    return Row(label, shown[0], f"{shown[1]} {other}", ratio, target, reached)


_KNOWN, _UNKNOWN, _OUTSIDE = (f"{one} names a second" for one in ("known", "unknown", "outside"))
_NAMES: tuple[Callable[[Figures], Row], ...] = (
    lambda figures: _asked(figures, _KNOWN, "docker", 2),
    lambda figures: _asked(figures, _KNOWN, "aardvark", 1),
    lambda figures: _cost(figures, "known", "docker"),
    lambda figures: _cost(figures, "unknown", "docker"),
    lambda figures: _cost(figures, "outside", "docker"),
    lambda figures: _cost(figures, "known", "aardvark"),
    lambda figures: _cost(figures, "unknown", "aardvark"),
    lambda figures: _cost(figures, "outside", "aardvark"),
    lambda figures: _asked(figures, _UNKNOWN, "docker", 5),
    lambda figures: _asked(figures, _UNKNOWN, "aardvark", 0),
    lambda figures: _asked(figures, _OUTSIDE, "docker", 5),
    lambda figures: _asked(figures, _OUTSIDE, "aardvark", 1.5),
    lambda figures: _latency(figures, "docker", 1),
    lambda figures: _latency(figures, "aardvark", 1),
    lambda figures: _cost(figures, "known", "alone", engine="crowd", bound=1.2),
    lambda figures: _cost(figures, "outside", "alone", engine="crowd", bound=1.2),
    lambda figures: _asked(figures, _KNOWN, "alone", 0.83, engine="crowd"),
    lambda figures: _asked(figures, _OUTSIDE, "alone", 0.83, engine="crowd"),
    lambda figures: _latency(figures, "alone", 1.2, engine="crowd"),
    lambda figures: _undisturbed(figures, "the daemon is killed"),
    lambda figures: _undisturbed(figures, "100 containers are created"),
)


def _attached(figures: Figures, kind: str, other: str, bound: float) -> Row:
    """An attach on a parent beside another's."""
    what = f"attach {kind}"
    ratio = _divide(figures.median(other, what), figures.median("netloom", what))
    ours, theirs = _time(figures, "netloom", what), _time(figures, other, what)
    return Row(what, ours, f"{other} {theirs}", ratio, f"{other} ≥ {bound:g} ×", _at_least(ratio, bound))


def _detached(figures: Figures, kind: str, other: str) -> Row:
    what = f"detach {kind}"
    ratio = _divide(figures.median(other, what), figures.median("netloom", what))
    ours, theirs = _time(figures, "netloom", what), _time(figures, other, what)
    return Row(what, ours, f"{other} {theirs}", ratio, "", None)


def _carried(figures: Figures, kind: str) -> Row:
    """Throughput beside a bridge's."""
    what = f"throughput {kind}"
    ours, bridge = figures.median("netloom", what), figures.median("netloom", "throughput bridge")
    ratio = _divide(ours, bridge)
    return Row(what, _plain(ours, "Gbit/s"), f"bridge {_plain(bridge, 'Gbit/s')}", ratio, "", None)


_LAN: tuple[Callable[[Figures], Row], ...] = (
    lambda figures: _attached(figures, "macvlan", "netavark", 1),
    lambda figures: _attached(figures, "macvlan", "cni", 2),
    lambda figures: _detached(figures, "macvlan", "netavark"),
    lambda figures: _detached(figures, "macvlan", "cni"),
    lambda figures: _attached(figures, "ipvlan", "netavark", 1),
    lambda figures: _attached(figures, "ipvlan", "cni", 2),
    lambda figures: _carried(figures, "macvlan"),
    lambda figures: _carried(figures, "ipvlan"),
)


def _pairs(ours: list[float], theirs: list[float]) -> list[float]:
    """The ratios of neighbours in time, sorted."""
    return sorted(mine / other for mine, other in zip(ours, theirs, strict=False))


def _streamed(figures: Figures, what: str, than: str, by: str, of: str, bound: float) -> Row:
    """Throughput of `what` beside `than` of `by`: reached where the upper quartile of the ratios reaches the bound."""
    ours, theirs = figures.samples["netloom"], figures.samples[by]
    shown = [_plain(median(one) if one else None, "Gbit/s") for one in (ours.get(what), theirs.get(than))]
    ratios, costs = (_pairs(ours.get(kind + what, []), theirs.get(kind + than, [])) for kind in ("", COST))
    if not ratios:
        return Row(what, shown[0], shown[1], None, "", None)
    lower, upper = (percentile(ratios, share) for share in (0.25, 0.75))
    beside = f"{shown[1]} {of}, ratios {lower:.2f} to {upper:.2f}, processor time {median(costs):.2f} ×"
    return Row(what, shown[0], beside, median(ratios), f"≥ {bound:g} × {of}", upper >= bound)


def _guarded(figures: Figures) -> Row:
    return _streamed(figures, GUARDED, UNGUARDED, "netloom", "without", 0.95)


def _paths(figures: Figures) -> list[Row]:
    """Every path that was measured, in the order of measuring."""
    measured = [what for what in figures.samples["netloom"] if what.startswith(PATH)]
    return [_streamed(figures, what, what, "docker", "docker", 1) for what in measured]


ROWS: tuple[Callable[[Figures], Row], ...] = (
    lambda figures: _faster(figures, "connect", 5),
    _bound,
    lambda figures: _faster(figures, "disconnect", 25),
    _crowd,
    _ping,
    lambda figures: _faster(figures, "network create", 12),
    lambda figures: _beside(figures, "network create, right after a rm"),
    lambda figures: _faster(figures, "network rm", 50),
    lambda figures: _beside(figures, "start on none"),
    lambda figures: _beside(figures, "start on a bridge"),
    _share,
    lambda figures: _memory(figures, "memory idle"),
    lambda figures: _memory(figures, "memory with 100 endpoints"),
    lambda figures: _beside(figures, "start with 1 published ports"),
    lambda figures: _faster(figures, "start with 100 published ports", 50),
    lambda figures: _beside(figures, f"start with {MANY_PORTS} published ports"),
    lambda figures: _ports(figures, 100),
    lambda figures: _ports(figures, MANY_PORTS),
    lambda figures: _beside(figures, "rm with 1 published ports"),
    lambda figures: _faster(figures, "rm with 100 published ports", 100),
    lambda figures: _beside(figures, f"rm with {MANY_PORTS} published ports"),
    *(
        partial(_peer, what=f"{word} with {n} published ports")
        for word in ("start", "rm")
        for n in (1, 100, MANY_PORTS)
    ),
    _crowded,
    *(partial(_healed, harm=harm) for harm in HARMS),
    _growth,
    lambda figures: _faster(figures, "a life on none", 4),
    lambda figures: _faster(figures, "a life on a bridge", 5),
    _kept,
    lambda figures: _faster(figures, "the list", 1),
    lambda figures: _faster(figures, "docker ps", 1),
    lambda figures: _rate(figures, "docker run --rm a second, 10 clients", "/s", 2),
    lambda figures: _rate(figures, "through run -i cat", "MiB/s", 1),
    lambda figures: _rate(figures, "cp into a container", "MiB/s", 1),
    lambda figures: _rate(figures, "cp out of a container", "MiB/s", 1),
    _restart,
    lambda figures: _policed(figures, "MiB/s between containers", 0.95),
    lambda figures: _policed(figures, "connections a second", 0),
    *_NAMES,
    *_LAN,
    _guarded,
)


def report(figures: Figures) -> str:
    """The table; times are medians, the 95th percentile in brackets."""
    rows = [("what", "netloom", "beside", "ratio", "to reach", "reached")]
    for row in [*(make(figures) for make in ROWS), *_paths(figures)]:
        if row.ours == "–":
            continue  # not asked for
        ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
        verdict = {True: "yes", False: "NO", None: "not measured" if row.target else ""}[row.reached]
        rows.append((row.what, row.ours, row.other, ratio, row.target, verdict))
    return table(rows)
