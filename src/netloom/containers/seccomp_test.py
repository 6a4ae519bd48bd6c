"""The default profile against what a running Docker resolved it to, and profiles of one's own."""

import json
from pathlib import Path
from typing import Any

import pytest

from netloom.containers import capabilities
from netloom.containers.seccomp import UNCONFINED, Machine, filter_for
from netloom.model.errors import Failed

GOLDEN = json.loads((Path(__file__).parent / "testdata/seccomp.json").read_text())
X86 = Machine("x86_64", "6.18.44")


def flat(profile: dict[str, Any] | None) -> set[tuple[str, ...]]:
    assert profile is not None
    return {
        (name, rule["action"], str(rule.get("errnoRet")), json.dumps(rule.get("args"), sort_keys=True))
        for rule in profile["syscalls"]
        for name in rule["names"]
    }


def caps_of(case: str) -> tuple[str, ...]:
    return {"none": (), "default": tuple(capabilities.DEFAULT), "ALL": capabilities.KNOWN}.get(case, (f"CAP_{case}",))


def test_without_capabilities_it_is_dockers() -> None:
    made = filter_for("", (), X86)
    assert made is not None
    assert flat(made) == {
        (name, action, str(errno), json.dumps(args, sort_keys=True)) for name, action, errno, args in GOLDEN["none"]
    }
    assert made["architectures"] == GOLDEN["architectures"]
    assert (made["defaultAction"], made["defaultErrnoRet"]) == ("SCMP_ACT_ERRNO", 1)
    assert filter_for("builtin", (), X86) == made


@pytest.mark.parametrize("case", sorted(GOLDEN["more"]))
def test_a_capability_opens_its_calls(case: str) -> None:
    more = flat(filter_for("", caps_of(case), X86)) - flat(filter_for("", (), X86))
    assert sorted(rule[0] for rule in more) == GOLDEN["more"][case]


def test_every_capability_was_asked() -> None:
    assert {"SYS_ADMIN", "SYS_PTRACE", "BPF", "default", "ALL"} <= set(GOLDEN["more"])
    for cap in capabilities.KNOWN:
        if cap.removeprefix("CAP_") not in GOLDEN["more"]:
            assert filter_for("", (cap,), X86) == filter_for("", (), X86)


def test_machines_and_kernels() -> None:
    arm = {rule[0] for rule in flat(filter_for("", (), Machine("aarch64", "6.1.0-31-arm64")))}
    x86 = {rule[0] for rule in flat(filter_for("", (), X86))}
    assert arm - x86 >= {"arm_sync_file_range", "set_tls"}
    assert x86 - arm == {"arch_prctl", "modify_ldt"}
    old = {rule[0] for rule in flat(filter_for("", (), Machine("x86_64", "4.4.0")))}
    assert x86 - old == {"ptrace", "process_vm_readv", "process_vm_writev"}
    assert Machine("x86_64", "5.10-rc1").kernel == (5, 10)


def test_a_profile_of_ones_own() -> None:
    rule = {"name": "mkdir", "action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 7, "op": "SCMP_CMP_EQ"}]}
    text = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"], "syscalls": [rule]})
    made = {"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "args": rule["args"]}
    assert filter_for(text, (), X86) == {
        "defaultAction": "SCMP_ACT_ALLOW",
        "flags": ["SECCOMP_FILTER_FLAG_LOG"],
        "syscalls": [made],
    }


@pytest.mark.parametrize("asked", [UNCONFINED, "{}"])
def test_no_filter(asked: str) -> None:
    assert filter_for(asked, (), X86) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x", "Decoding seccomp profile failed: "),
        ('{"syscalls": 1}', "Decoding seccomp profile failed: "),
        (
            '{"defaultAction":"A","architectures":["a"],"archMap":[{"architecture":"a"}]}',
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either",
        ),
        (
            '{"defaultAction":"A","syscalls":[{"names":["a"],"name":"b","action":"c"}]}',
            "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
        ),
        (
            '{"defaultAction":"A","syscalls":[{"names":["a"],"action":"c","includes":{"minKernel":"x"}}]}',
            'Decoding seccomp profile failed: invalid kernel version: "x"',
        ),
    ],
)
def test_what_cannot_be_read(text: str, sentence: str) -> None:
    with pytest.raises(Failed) as caught:
        filter_for(text, (), X86)
    assert caught.value.sentence.startswith(sentence)
