"""`--user` against passwd and group."""

import pytest

from netloom.containers.identity import Identity, resolve
from netloom.model.errors import Failed

PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\nbroken\nodd:x:a:b:::\nbare:x:40:41:::\n"
GROUP = "root:x:0:\nweb:x:34:\nlog:x:50:web,other\nstaff:x:51:web\n\nbroken\n"


@pytest.mark.parametrize(
    ("user", "identity"),
    [
        ("", Identity(0, 0, (0,), "/root")),
        ("root", Identity(0, 0, (0,), "/root")),
        ("web", Identity(33, 34, (34, 50, 51), "/srv")),
        ("33", Identity(33, 34, (34, 50, 51), "/srv")),
        ("web:log", Identity(33, 50, (50,), "/srv")),
        ("web:77", Identity(33, 77, (77,), "/srv")),
        ("1000", Identity(1000, 0, (0,), "/")),
        ("1000:1000", Identity(1000, 1000, (1000,), "/")),
        (":50", Identity(0, 50, (50,), "/root")),
        ("bare", Identity(40, 41, (41,), "/")),
    ],
)
def test_resolves(user: str, identity: Identity) -> None:
    assert resolve(user, PASSWD, GROUP) == identity


@pytest.mark.parametrize(
    ("user", "sentence"),
    [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("odd", "unable to find user odd: no matching entries in passwd file"),
        ("root:nogrp", "unable to find group nogrp: no matching entries in group file"),
        ("4294967296", "uids and gids must be in range 0-2147483647"),
        ("-1", "uids and gids must be in range 0-2147483647"),
        ("web:-1", "uids and gids must be in range 0-2147483647"),
    ],
)
def test_refuses(user: str, sentence: str) -> None:
    with pytest.raises(Failed) as caught:
        resolve(user, PASSWD, GROUP)
    assert caught.value.sentence == sentence


def test_root_without_files() -> None:
    assert resolve("", "", "") == Identity(0, 0, (0,), "/root")


def test_groups_besides() -> None:
    assert resolve("web:log", PASSWD, GROUP, ("staff", "1234", "log")) == Identity(33, 50, (50, 51, 1234), "/srv")
    assert resolve("", PASSWD, GROUP, ("1234",)) == Identity(0, 0, (0, 1234), "/root")
    with pytest.raises(Failed, match="unable to find group nosuch: no matching entries in group file"):
        resolve("", PASSWD, GROUP, ("nosuch",))
