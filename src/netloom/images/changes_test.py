"""`-c`: what a real Docker made of each, and its sentences."""

from typing import Any

import pytest

from netloom.images.changes import apply
from netloom.model.errors import InvalidArgument


@pytest.mark.parametrize(
    ("change", "config"),
    [
        ('CMD ["q", "r"]', {"Cmd": ["q", "r"]}),
        ("CMD q r", {"Cmd": ["/bin/sh", "-c", "q r"]}),
        ("CMD", {"Cmd": None}),
        ("entrypoint foo bar", {"Entrypoint": ["/bin/sh", "-c", "foo bar"]}),
        ('LABEL a=b c="d e"', {"Labels": {"a": "b", "c": "d e"}}),
        ("ENV a=b c=d", {"Env": ["a=b", "c=d"]}),
        ("ENV a b c", {"Env": ["a=b c"]}),
        ("EXPOSE 80 90/udp 5-6", {"ExposedPorts": {"80/tcp": {}, "90/udp": {}, "5/tcp": {}, "6/tcp": {}}}),
        ("WORKDIR /x", {"WorkingDir": "/x"}),
        ("USER u", {"User": "u"}),
        ('VOLUME ["/v", "/w"]', {"Volumes": {"/v": {}, "/w": {}}}),
        ("STOPSIGNAL SIGINT", {"StopSignal": "SIGINT"}),
        ("ONBUILD RUN x", {"OnBuild": ["RUN x"]}),
        (
            "HEALTHCHECK --interval=3s --retries=2 CMD foo",
            {"Healthcheck": {"Interval": 3 * 10**9, "Retries": 2, "Test": ["CMD-SHELL", "foo"]}},
        ),
        ("HEALTHCHECK NONE", {"Healthcheck": {"Test": ["NONE"]}}),
    ],
)
def test_applied(change: str, config: dict[str, Any]) -> None:
    assert apply({}, [change]) == config


def test_later_changes_add_to_earlier_ones() -> None:
    assert apply({"Env": ["a=1", "b=2"]}, ["ENV a=3", "ENV c=4"]) == {"Env": ["a=3", "b=2", "c=4"]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("RUN x", "RUN is not a valid change command"),
        ("foo x", "FOO is not a valid change command"),
        ('SHELL ["/bin/a"]', "SHELL is not a valid change command"),
        ("ENV x", "ENV must have two arguments"),
        ("EXPOSE x", "Invalid containerPort: x"),
        ("HEALTHCHECK --interval=x CMD a", 'time: invalid duration "x"'),
    ],
)
def test_refused(change: str, said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        apply({}, [change])
    assert caught.value.sentence == said
