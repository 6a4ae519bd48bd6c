import pytest

from netloom.events.filters import event_filter
from netloom.model.errors import InvalidArgument
from netloom.model.event import Event

CONNECT = Event(
    type="network",
    action="connect",
    id="554869535e68" + "0" * 52,
    attributes={"container": "7185e1ef", "name": "ev1", "type": "bridge"},
    time_nano=1,
)
START = Event(
    type="container",
    action="start",
    id="7185e1efb766" + "0" * 52,
    attributes={"image": "registry.example:5000/team/bb:1", "name": "evc", "cl": "2"},
    time_nano=2,
)
EXEC = Event(type="container", action="exec_start: sh -c true", id="a" * 64, attributes={"name": "x"}, time_nano=3)
PULL = Event(type="image", action="pull", id="bb:1", attributes={"name": "bb"}, time_nano=4)


@pytest.mark.parametrize(
    ("filters", "event", "expected"),
    [
        ({"type": ["network"]}, CONNECT, True),
        ({"type": ["container", "network"]}, CONNECT, True),
        ({"type": ["container"]}, CONNECT, False),
        ({"event": ["connect"]}, CONNECT, True),
        ({"event": ["conn"]}, CONNECT, False),
        ({"event": ["exec_start"]}, EXEC, True),
        ({"event": ["exec_create"]}, EXEC, False),
        ({"event": ["exec_start: sh -c true"]}, EXEC, True),
        ({"network": ["ev1"]}, CONNECT, True),
        ({"network": ["5548"]}, CONNECT, True),
        ({"network": ["ev2"]}, CONNECT, False),
        ({"network": ["ev2", "ev1"]}, CONNECT, True),
        ({"container": ["evc"]}, START, True),
        ({"container": ["evc"]}, CONNECT, False),
        ({"label": ["cl"]}, START, True),
        ({"label": ["cl=2"]}, START, True),
        ({"label": ["cl=3"]}, START, False),
        ({"label": ["cl", "absent"]}, START, False),
        ({"image": ["registry.example:5000/team/bb:1"]}, START, True),
        ({"image": ["registry.example:5000/team/bb"]}, START, True),
        ({"image": ["bb"]}, START, False),
        ({"image": ["bb"]}, PULL, True),
        ({"scope": ["local"]}, START, True),
        ({"scope": ["swarm"]}, START, False),
        ({"type": ["container"], "event": ["stop"]}, START, False),
        ({"type": ["container"], "event": []}, START, True),
    ],
)
def test_filter(filters: dict[str, list[str]], event: Event, expected: bool) -> None:
    keep = event_filter(filters)
    assert keep is not None
    assert keep(event) is expected


def test_library_images_are_known_by_their_familiar_name() -> None:
    event = Event(
        type="container", action="start", id="b" * 64, attributes={"image": "docker.io/library/web:1"}, time_nano=1
    )
    keep = event_filter({"image": ["web"]})
    assert keep is not None
    assert keep(event)


def test_no_filters_is_no_test() -> None:
    assert event_filter({}) is None
    assert event_filter({"type": []}) is None


def test_unknown_filter_is_refused_as_docker_does() -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid filter 'bogus'$"):
        event_filter({"bogus": ["x"]})
