"""A container's system call filter: Docker's profile format made into the OCI spec's `linux.seccomp`.

A profile names rules that hold for some machines, kernels and capabilities only; what is left of it here depends on
those three. `seccomp_default.json` is the profile of every container that asks for none.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cache
from pkgutil import get_data
from typing import Any

import msgspec
from msgspec import Struct

from netloom.model.errors import Failed

UNCONFINED = "unconfined"
_DEFAULT_NAMES = ("", "builtin")

# The machine's name in a profile's `arches` (Go's) and in its `archMap` (libseccomp's), by uname's.
_MACHINES = {
    "x86_64": ("amd64", "SCMP_ARCH_X86_64"),
    "aarch64": ("arm64", "SCMP_ARCH_AARCH64"),
    "s390x": ("s390x", "SCMP_ARCH_S390X"),
    "ppc64le": ("ppc64le", "SCMP_ARCH_PPC64LE"),
    "riscv64": ("riscv64", "SCMP_ARCH_RISCV64"),
    "loongarch64": ("loong64", "SCMP_ARCH_LOONGARCH64"),
}


class Machine(Struct, frozen=True):
    """What the filter runs on: uname's machine and release."""

    name: str
    release: str

    @property
    def kernel(self) -> tuple[int, int]:
        """Major and minor number."""
        major, _, rest = self.release.partition(".")
        minor = "".join(digit for digit in rest.partition(".")[0].partition("-")[0] if digit.isdigit())
        return int(major), int(minor or 0)


class _Argument(Struct, frozen=True, rename="camel"):
    index: int
    value: int
    op: str
    value_two: int = 0


class _Condition(Struct, frozen=True, rename="camel"):
    caps: tuple[str, ...] | None = None
    arches: tuple[str, ...] | None = None
    min_kernel: str = ""


_ALWAYS = _Condition()


class _Rule(Struct, frozen=True, rename="camel"):
    action: str
    name: str = ""
    names: tuple[str, ...] | None = None
    errno_ret: int | None = None
    args: tuple[_Argument, ...] | None = None
    includes: _Condition | None = None
    excludes: _Condition | None = None


class _Architecture(Struct, frozen=True, rename="camel"):
    architecture: str
    sub_architectures: tuple[str, ...] | None = None


class _Profile(Struct, frozen=True, rename="camel"):
    default_action: str = ""
    default_errno_ret: int | None = None
    architectures: tuple[str, ...] | None = None
    arch_map: tuple[_Architecture, ...] | None = None
    flags: tuple[str, ...] | None = None
    listener_path: str = ""
    listener_metadata: str = ""
    syscalls: tuple[_Rule, ...] | None = None


def filter_for(asked: str, caps: Collection[str], machine: Machine) -> dict[str, Any] | None:
    """`linux.seccomp` of a container with these capabilities; None for no filter.

    `asked` is the value of `--security-opt seccomp=`, empty for none given. Raises Failed for a profile that cannot
    be read.
    """
    if asked == UNCONFINED:
        return None
    profile = _default() if asked in _DEFAULT_NAMES else _read(asked)
    if not profile.default_action:
        return None  # as Docker: an empty profile filters nothing
    found: dict[str, Any] = {"defaultAction": profile.default_action}
    if profile.default_errno_ret is not None:
        found["defaultErrnoRet"] = profile.default_errno_ret
    if architectures := _architectures(profile, machine):
        found["architectures"] = architectures
    if profile.flags:
        found["flags"] = list(profile.flags)
    if profile.listener_path:
        found |= {"listenerPath": profile.listener_path, "listenerMetadata": profile.listener_metadata}
    rules = [rule for rule in profile.syscalls or () if _holds(rule, caps, machine)]
    found["syscalls"] = [_made(rule) for rule in rules]
    return found


@cache
def _default() -> _Profile:
    return _read((get_data(__package__, "seccomp_default.json") or b"").decode())


def _read(text: str) -> _Profile:
    try:
        profile = msgspec.convert(json.loads(text), _Profile)
    except (ValueError, RecursionError) as error:
        raise Failed(f"Decoding seccomp profile failed: {error}") from error
    if profile.architectures and profile.arch_map:
        raise Failed(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or "
            "'archMap'"
        )
    if any(rule.name and rule.names for rule in profile.syscalls or ()):
        raise Failed("both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'")
    return profile


def _architectures(profile: _Profile, machine: Machine) -> list[str]:
    if profile.architectures:
        return list(profile.architectures)
    own = _MACHINES.get(machine.name, ("", ""))[1]
    for one in profile.arch_map or ():
        if one.architecture == own:
            return [own, *(one.sub_architectures or ())]
    return []


def _holds(rule: _Rule, caps: Collection[str], machine: Machine) -> bool:
    arch = _MACHINES.get(machine.name, (machine.name, ""))[0]
    wanted, barred = rule.includes or _ALWAYS, rule.excludes or _ALWAYS
    if wanted.arches and arch not in wanted.arches:
        return False
    if wanted.caps and not all(cap in caps for cap in wanted.caps):
        return False
    if wanted.min_kernel and machine.kernel < _version(wanted.min_kernel):
        return False
    if barred.arches and arch in barred.arches:
        return False
    if barred.caps and any(cap in caps for cap in barred.caps):
        return False
    return not (barred.min_kernel and machine.kernel >= _version(barred.min_kernel))


def _version(text: str) -> tuple[int, int]:
    numbers = text.split(".")
    if len(numbers) != 2 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise Failed(f'Decoding seccomp profile failed: invalid kernel version: "{text}"')
    return int(numbers[0]), int(numbers[1])


def _made(rule: _Rule) -> dict[str, Any]:
    made: dict[str, Any] = {"names": list(rule.names or (rule.name,)), "action": rule.action}
    if rule.errno_ret is not None:
        made["errnoRet"] = rule.errno_ret
    if rule.args:
        made["args"] = [
            {"index": one.index, "value": one.value, "op": one.op}
            | ({"valueTwo": one.value_two} if one.value_two else {})
            for one in rule.args
        ]
    return made
