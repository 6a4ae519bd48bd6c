"""System call filters compiled by libseccomp, once for each distinct profile.

crun would compile the profile at every start (11 ms); given the program of the filter it only installs it. Programs are
kept in memory: a daemon compiles again what it needs.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import struct
from collections import OrderedDict
from functools import cache
from typing import Any

from netloom.containers.sysctls import CREATE_PREFIX
from netloom.model.errors import Failed, Unavailable

ANNOTATION = "run.oci.seccomp_bpf_data"  # crun's own: the filter's program, base64
KEPT = 64  # programs, of some 4 kB each

_ACTIONS = {  # seccomp.h of libseccomp
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
}
_WITH_NUMBER = frozenset({"SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"})
_OPERATORS = {f"SCMP_CMP_{name}": n for n, name in enumerate("NE LT LE EQ GE GT MASKED_EQ".split(), 1)}
_OPTIMIZE = 8  # SCMP_FLTATR_CTL_OPTIMIZE; 2 is a binary tree over the numbers of the calls
_UNKNOWN = -1  # __NR_SCMP_ERROR
_EPERM, _EEXIST, _ENOSYS = 1, 17, 38

_LD_WORD, _JUMP_EQ, _JUMP_GT, _RETURN = 0x20, 0x15, 0x25, 0x06  # linux/bpf_common.h
_OFFSET_NUMBER, _OFFSET_ARCH = 0, 4  # struct seccomp_data, linux/seccomp.h
_X32 = 0x4000003E  # the library's own: the kernel says x86-64 for both
_HIGHEST_NUMBER = 1023  # far above what any kernel has; the numbers of x32 and of arm's own calls begin much higher


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise Unavailable("libseccomp is not installed", remedy="install the package libseccomp2") from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_native.restype = ctypes.c_uint32
    library.seccomp_arch_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
    library.seccomp_syscall_resolve_num_arch.argtypes = (ctypes.c_uint32, ctypes.c_int)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p,
        ctypes.c_uint32,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Comparison),
    )
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library


class Filters:
    """Compiled filters by profile. Used in the threads of the wrapper."""

    def __init__(self) -> None:
        self._programs: OrderedDict[bytes, str] = OrderedDict()

    def annotation(self, profile: dict[str, Any]) -> str:
        """The value of the annotation for a `linux.seccomp`. Raises Failed for one that means nothing."""
        key = json.dumps(profile).encode()
        program = self._programs.pop(key, None) or base64.b64encode(compiled(profile)).decode()
        self._programs[key] = program
        while len(self._programs) > KEPT:
            self._programs.popitem(last=False)
        return program


def compiled(profile: dict[str, Any]) -> bytes:
    """The program of a filter (struct sock_filter, linux/filter.h).

    A call that is newer than libseccomp cannot be named in any rule. Where others are refused with an error it gets
    ENOSYS, so that programs fall back on an older call; EPERM would look like a refusal of what they want.
    """
    default = _action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    library = _library()
    context = library.seccomp_init(default)
    if not context:
        raise Failed("a system call filter could not be made")
    try:
        return _compiled(library, context, profile, default)
    finally:
        library.seccomp_release(context)


def _compiled(library: ctypes.CDLL, context: int, profile: dict[str, Any], default: int) -> bytes:
    tokens = [_architecture(library, name) for name in profile.get("architectures", ())]
    for token in tokens:
        result = library.seccomp_arch_add(context, token)
        if result not in (0, -_EEXIST):
            raise Failed(f"a system call filter could not be made: {os.strerror(-result)}")
    library.seccomp_attr_set(context, _OPTIMIZE, 2)  # older libraries have only the list
    for rule in profile["syscalls"]:
        action = _action(rule["action"], rule.get("errnoRet"))
        if action != default:
            for name in rule["names"]:
                _add(library, context, action, name, rule.get("args", []))
    fd = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    with open(fd, "r+b") as file:
        result = library.seccomp_export_bpf(context, fd)
        if result:
            raise Failed(f"a system call filter could not be made: {os.strerror(-result)}")
        file.seek(0)
        program = file.read()
    if profile["defaultAction"] != "SCMP_ACT_ERRNO":
        return program
    for token in dict.fromkeys((*tokens, library.seccomp_arch_native())):
        program = _newer_calls(library, token) + program
    return program


def _add(library: ctypes.CDLL, context: int, action: int, name: str, arguments: list[dict[str, Any]]) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number == _UNKNOWN:
        return
    comparisons = [_comparison(one) for one in arguments]
    indices = [one.argument for one in comparisons]
    # Several comparisons of one argument are alternatives: a conjunction takes each argument once.
    groups = [comparisons] if len(set(indices)) == len(indices) else [[one] for one in comparisons]
    for group in groups:
        array = (_Comparison * len(group))(*group)
        result = library.seccomp_rule_add_array(context, action, number, len(group), array)
        if result not in (0, -_EEXIST):
            raise Failed(
                f"{CREATE_PREFIX}error adding seccomp filter rule for syscall {name}: {os.strerror(-result).lower()}"
            )


def _comparison(given: dict[str, Any]) -> _Comparison:
    if given["op"] not in _OPERATORS:
        raise Failed(f"{CREATE_PREFIX}string {given['op']} is not a valid operator for seccomp")
    return _Comparison(given["index"], _OPERATORS[given["op"]], given["value"], given.get("valueTwo", 0))


def _action(name: str, number: int | None) -> int:
    if name not in _ACTIONS:
        raise Failed(f"{CREATE_PREFIX}string {name} is not a valid action for seccomp")
    return _ACTIONS[name] | ((_EPERM if number is None else number & 0xFFFF) if name in _WITH_NUMBER else 0)


def _architecture(library: ctypes.CDLL, name: str) -> int:
    token = int(library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode()))
    if not token:
        raise Failed(f"{CREATE_PREFIX}string {name} is not a valid arch for seccomp")
    return token


def _newer_calls(library: ctypes.CDLL, token: int) -> bytes:
    """A prologue: ENOSYS for calls of one architecture above the last one that the library has a name for."""
    last = 0 if token == _X32 else _last_call(token)
    if not last:
        return b""
    steps = (
        (_LD_WORD, 0, 0, _OFFSET_ARCH),
        (_JUMP_EQ, 0, 4, token),
        (_LD_WORD, 0, 0, _OFFSET_NUMBER),
        (_JUMP_GT, 0, 2, last),
        (_JUMP_GT, 1, 0, _HIGHEST_NUMBER),
        (_RETURN, 0, 0, _ACTIONS["SCMP_ACT_ERRNO"] | _ENOSYS),
    )
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


@cache
def _last_call(token: int) -> int:
    library = _library()
    free = ctypes.CDLL(None).free
    free.argtypes = (ctypes.c_void_p,)
    for number in range(_HIGHEST_NUMBER, 0, -1):
        name = library.seccomp_syscall_resolve_num_arch(token, number)
        if name:
            free(name)
            return number
    return 0
