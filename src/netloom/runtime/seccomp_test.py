"""Compiled filters: what the kernel does with them is tried inside containers (options_test.py)."""

import base64
import ctypes
import struct

import pytest

from netloom.containers.capabilities import DEFAULT
from netloom.containers.seccomp import Machine, filter_for
from netloom.model.errors import Failed
from netloom.runtime.seccomp import KEPT, Filters, compiled

X86, I386 = 0xC000003E, 0x40000003
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026
READ, KEYCTL, CLONE3, NEWER, X32_READ = 0, 250, 435, 1000, 0x40000000
SOCKET, AF_INET, AF_VSOCK = 41, 2, 40
NEW_USER = 0x10000000
CLONE = 56


def run(program: bytes, number: int, *arguments: int, arch: int = X86) -> int:
    """What a filter returns for a call: the few instructions of classic BPF that it is made of."""
    data = struct.pack("=iIQ6Q", ctypes.c_int32(number).value, arch, 0, *(*arguments, *(0,) * 6)[:6])
    steps = list(struct.iter_unpack("=HBBI", program))
    at = value = 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            value = struct.unpack_from("=I", data, operand)[0]
        elif code == 0x54:
            value &= operand
        elif code == 0x05:
            at += operand
        else:
            true = {0x15: value == operand, 0x25: value > operand, 0x35: value >= operand}[code]
            at += yes if true else no


@pytest.fixture(name="program", scope="module")
def _program() -> bytes:
    profile = filter_for("", DEFAULT, Machine("x86_64", "6.1.0"))
    assert profile is not None
    return compiled(profile)


@pytest.mark.parametrize(
    ("call", "verdict"),
    [
        ((READ,), ALLOW),
        ((KEYCTL,), EPERM),
        ((CLONE3,), ENOSYS),
        ((NEWER,), ENOSYS),
        ((X32_READ,), ALLOW),
        ((SOCKET, AF_INET), ALLOW),
        ((SOCKET, AF_VSOCK), EPERM),
        ((CLONE, 0x11), ALLOW),
        ((CLONE, NEW_USER | 0x11), EPERM),
    ],
)
def test_verdicts_of_the_default_filter(program: bytes, call: tuple[int, ...], verdict: int) -> None:
    assert run(program, *call) == verdict


def test_other_architectures(program: bytes) -> None:
    assert run(program, 3, arch=I386) == ALLOW  # read
    assert run(program, NEWER, arch=I386) == ENOSYS
    assert run(program, 3, arch=0x12345678) not in (ALLOW, EPERM, ENOSYS)  # killed


def test_comparisons_of_one_argument_are_alternatives() -> None:
    arguments = [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"} for value in (1, 2)]
    rule = {"names": ["personality", "no_such_call"], "action": "SCMP_ACT_ERRNO", "errnoRet": 7, "args": arguments}
    program = compiled({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
    assert [run(program, 135, value) for value in (0, 1, 2)] == [ALLOW, 0x00050007, 0x00050007]
    assert run(program, NEWER) == ALLOW


def test_a_profile_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def compile_(profile: dict[str, object]) -> bytes:
        made.append(len(made))
        return bytes(made)

    monkeypatch.setattr("netloom.runtime.seccomp.compiled", compile_)
    filters = Filters()
    first = filters.annotation({"n": 0})
    assert filters.annotation({"n": 0}) == first
    assert base64.b64decode(first) == b"\0"
    for number in range(KEPT + 1):
        filters.annotation({"n": number})
    filters.annotation({"n": 0})  # the one used longest ago was forgotten
    assert len(made) == KEPT + 2


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ({"defaultAction": "BAD", "syscalls": []}, "string BAD is not a valid action for seccomp"),
        (
            {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_ODD"], "syscalls": []},
            "string SCMP_ARCH_ODD is not a valid arch for seccomp",
        ),
        (
            {
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [
                    {
                        "names": ["read"],
                        "action": "SCMP_ACT_KILL",
                        "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_ODD"}],
                    }
                ],
            },
            "string SCMP_CMP_ODD is not a valid operator for seccomp",
        ),
    ],
)
def test_what_means_nothing(profile: dict[str, object], told: str) -> None:
    with pytest.raises(Failed, match=told):
        compiled(profile)
