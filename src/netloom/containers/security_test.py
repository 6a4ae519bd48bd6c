"""`--security-opt` as a running Docker took it."""

import pytest

from netloom.containers.security import SecurityOptions, parse, shown
from netloom.model.errors import Failed, Unsupported
from netloom.model.host_config import HostConfig


@pytest.mark.parametrize(
    ("options", "meaning"),
    [
        ((), SecurityOptions()),
        (("no-new-privileges",), SecurityOptions(no_new_privileges=True)),
        (("no-new-privileges:true",), SecurityOptions(no_new_privileges=True)),
        (("no-new-privileges=false",), SecurityOptions()),
        (("no-new-privileges", "no-new-privileges:false"), SecurityOptions()),
        (("seccomp=unconfined",), SecurityOptions(seccomp="unconfined")),
        (("seccomp:unconfined",), SecurityOptions(seccomp="unconfined")),
        (('seccomp={"a":"b=c"}',), SecurityOptions(seccomp='{"a":"b=c"}')),
        (("seccomp=",), SecurityOptions()),
        (("apparmor=unconfined",), SecurityOptions(apparmor="unconfined")),
        (("label=disable", "label=user:x", "label:bad", "disable"), SecurityOptions()),
        (("writable-cgroups",), SecurityOptions(writable_cgroups=True)),
        (("writable-cgroups=true",), SecurityOptions(writable_cgroups=True)),
    ],
)
def test_meanings(options: tuple[str, ...], meaning: SecurityOptions) -> None:
    assert parse(options) == meaning


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("bad", 'invalid --security-opt 1: "bad"'),
        ("label", 'invalid --security-opt 1: "label"'),
        ("bad=x", 'invalid --security-opt 2: "bad=x"'),
        ("no-new-privileges:bad", 'invalid --security-opt 2: "no-new-privileges:bad"'),
        ("systempaths=unconfined", 'invalid --security-opt 2: "systempaths=unconfined"'),
    ],
)
def test_what_nobody_knows(option: str, sentence: str) -> None:
    with pytest.raises(Failed) as caught:
        parse((option,))
    assert caught.value.message == sentence


def test_profiles_of_apparmor_are_refused() -> None:
    with pytest.raises(Unsupported, match="AppArmor profile web is not supported"):
        parse(("apparmor=web",))


def test_privileged_has_no_filter_but_one_of_its_own() -> None:
    assert parse(None, privileged=True).seccomp == "unconfined"
    assert parse(("seccomp={}",), privileged=True).seccomp == "{}"


@pytest.mark.parametrize(
    ("host_config", "kept"),
    [
        (HostConfig(), None),
        (HostConfig(privileged=True), ("label=disable",)),
        (HostConfig(pid_mode="host"), ("label=disable",)),
        (HostConfig(ipc_mode="host", security_opt=("seccomp=x",)), ("seccomp=x", "label=disable")),
        (HostConfig(privileged=True, security_opt=("label=user:x",)), ("label=user:x",)),
    ],
)
def test_as_inspect_shows_it(host_config: HostConfig, kept: tuple[str, ...] | None) -> None:
    assert shown(host_config) == kept
