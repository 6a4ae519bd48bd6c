"""`--security-opt` as Docker reads it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from netloom.model.errors import Failed, Unsupported
from netloom.model.host_config import HostConfig
from netloom.model.truth import truth_of

_UNCONFINED = "unconfined"
_NO_LABEL = "label=disable"


class SecurityOptions(Struct, frozen=True):
    """What the options say. `seccomp` is empty for the default profile, `unconfined`, or a profile's text."""

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    writable_cgroups: bool = False


def parse(options: Sequence[str] | None, *, privileged: bool = False) -> SecurityOptions:
    """Later ones win. Labels are accepted and without effect, as with Docker where SELinux is off.

    Raises Failed with Docker's sentence for what it does not know, Unsupported for an AppArmor profile.
    """
    flags = {"no-new-privileges": False, "writable-cgroups": False}
    texts = {"seccomp": "", "apparmor": "", "label": ""}
    for option in options or ():
        if option == "disable":
            continue
        if option in flags:
            flags[option] = True
            continue
        key, sign, value = option.partition("=" if "=" in option else ":")
        if not sign:
            raise Failed(f'invalid --security-opt 1: "{option}"')
        truth = truth_of(value)
        if key in flags and truth is not None:
            flags[key] = truth
        elif key in texts:
            texts[key] = value
        else:
            raise Failed(f'invalid --security-opt 2: "{option}"')
    if texts["apparmor"] not in ("", _UNCONFINED):
        raise Unsupported(
            f"AppArmor profile {texts['apparmor']} is not supported by netloom", remedy="use apparmor=unconfined"
        )
    seccomp = texts["seccomp"] or (_UNCONFINED if privileged else "")
    return SecurityOptions(flags["no-new-privileges"], seccomp, texts["apparmor"], flags["writable-cgroups"])


def shown(host_config: HostConfig) -> tuple[str, ...] | None:
    """SecurityOpt as Docker keeps it: labels are off for a container that sees the host's processes."""
    asked = host_config.security_opt
    open_to_host = host_config.privileged or "host" in (host_config.ipc_mode, host_config.pid_mode)
    if not open_to_host or any(option.partition("=")[0] == "label" for option in asked or ()):
        return asked
    return (*(asked or ()), _NO_LABEL)
