"""Who a program runs as: Docker's `--user` against the root's passwd and group files (passwd(5), group(5))."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from netloom.model.errors import Failed

_MAX_ID = 2**31 - 1


class Identity(Struct, frozen=True):
    """Numbers, and the home folder that HOME says."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = "/"


class _User(Struct, frozen=True):
    name: str
    uid: int
    gid: int
    home: str


class _Group(Struct, frozen=True):
    name: str
    gid: int
    members: tuple[str, ...]


def resolve(user: str, passwd: str, group: str, more: Sequence[str] = ()) -> Identity:
    """`name`, `uid`, either with `:group` or `:gid`; empty is uid 0. A number need not be in the files.

    `more` are groups besides (`--group-add`), by name or number.

    Raises Failed with Docker's sentence for a name that is not there.
    """
    wanted_user, _, wanted_group = user.partition(":")
    found = _find_user(wanted_user or "0", _users(passwd))
    groups = _groups(group)
    added = [_find_group(name, groups) for name in more]
    if wanted_group:
        gid = _find_group(wanted_group, groups)
        return Identity(found.uid, gid, tuple(dict.fromkeys((gid, *added))), found.home)
    others = sorted({one.gid for one in groups if found.name and found.name in one.members})
    return Identity(found.uid, found.gid, tuple(dict.fromkeys((found.gid, *others, *added))), found.home)


def _find_user(wanted: str, users: list[_User]) -> _User:
    number = _number(wanted)
    for user in users:
        if user.name == wanted or user.uid == number:
            return user
    if number is None:
        raise Failed(f"unable to find user {wanted}: no matching entries in passwd file")
    if not 0 <= number <= _MAX_ID:
        raise Failed(f"uids and gids must be in range 0-{_MAX_ID}")
    return _User("", number, 0, "/root" if number == 0 else "/")


def _find_group(wanted: str, groups: list[_Group]) -> int:
    number = _number(wanted)
    for group in groups:
        if group.name == wanted or group.gid == number:
            return group.gid
    if number is None:
        raise Failed(f"unable to find group {wanted}: no matching entries in group file")
    if not 0 <= number <= _MAX_ID:
        raise Failed(f"uids and gids must be in range 0-{_MAX_ID}")
    return number


def _number(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() else None


def _users(text: str) -> list[_User]:
    rows = [line.split(":") for line in text.splitlines()]
    return [
        _User(row[0], int(row[2]), int(row[3]), row[5] or "/")
        for row in rows
        if len(row) >= 6 and row[2].isdigit() and row[3].isdigit()
    ]


def _groups(text: str) -> list[_Group]:
    rows = [line.split(":") for line in text.splitlines()]
    return [_Group(row[0], int(row[2]), tuple(row[3].split(","))) for row in rows if len(row) >= 4 and row[2].isdigit()]
