"""The command line of `run` and `create` → the body of POST /containers/create."""

from __future__ import annotations

from typing import Any

from netloom.cli.errors import NOT_RUN, CliError
from netloom.cli.execute import environment
from netloom.cli.flag_checks import is_mac
from netloom.cli.flags import Arguments
from netloom.cli.labels import labels, lines_of
from netloom.cli.network_specs import attachments
from netloom.cli.port_specs import exposed, published


def request(arguments: Arguments, *, detached: bool) -> dict[str, Any]:
    """The body. What was not given is left out, so that the daemon's own defaults hold."""
    image, *command = arguments.words
    if arguments.mac_address and not is_mac(arguments.mac_address):
        raise CliError(f"{arguments.mac_address} is not a valid mac address", NOT_RUN)
    mode, endpoints = attachments(arguments)
    bindings = published(arguments.publish)
    attach = _attached(arguments, detached=detached)
    body = {
        "Hostname": arguments.hostname,
        "Domainname": arguments.domainname,
        "User": arguments.user,
        "AttachStdin": "stdin" in attach,
        "AttachStdout": "stdout" in attach,
        "AttachStderr": "stderr" in attach,
        "ExposedPorts": {port: {} for port in (*exposed(arguments.expose), *bindings)},
        "Tty": arguments.tty,
        "OpenStdin": arguments.interactive,
        "StdinOnce": arguments.interactive and "stdin" in attach,
        "Env": environment(arguments.env_file, arguments.env),
        "Cmd": command or None,
        "Image": image,
        "WorkingDir": arguments.workdir,
        "Entrypoint": _entrypoint(arguments),
        "Labels": labels([*lines_of(arguments.label_file), *arguments.label]),
        "StopSignal": arguments.stop_signal,
        "StopTimeout": arguments.stop_timeout,
        "Volumes": {volume: {} for volume in arguments.volume if ":" not in volume},
        "MacAddress": "" if endpoints else arguments.mac_address,
        "HostConfig": _host_config(arguments, mode, bindings),
        "NetworkingConfig": {"EndpointsConfig": endpoints},
    }
    return {key: value for key, value in body.items() if value not in ("", None, {}, [])}


def _attached(arguments: Arguments, *, detached: bool) -> set[str]:
    if detached:
        return set()
    return set(arguments.attach) or {"stdout", "stderr"} | ({"stdin"} if arguments.interactive else set())


def _entrypoint(arguments: Arguments) -> list[str] | None:
    """An empty `--entrypoint` clears the image's."""
    return [arguments.entrypoint] if "entrypoint" in arguments.given else None


def _host_config(arguments: Arguments, mode: str, bindings: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
    given = {
        "Binds": [volume for volume in arguments.volume if ":" in volume],
        "NetworkMode": mode,
        "PortBindings": bindings,
        "PublishAllPorts": arguments.publish_all,
        "AutoRemove": arguments.rm,
        "Dns": arguments.dns,
        "DnsOptions": arguments.dns_option,
        "DnsSearch": arguments.dns_search,
        "ExtraHosts": arguments.add_host,
        "Links": arguments.link,
        "Sysctls": arguments.sysctl,
        "CapAdd": arguments.cap_add,
        "CapDrop": arguments.cap_drop,
        "Privileged": arguments.privileged,
        "RestartPolicy": _restart(arguments.restart),
        "LogConfig": _log(arguments),
        "ReadonlyRootfs": arguments.read_only,
        "Init": True if arguments.init else None,
        "OomScoreAdj": arguments.oom_score_adj,
        "Memory": arguments.memory,
        "NanoCpus": round(float(arguments.cpus) * 10**9) if arguments.cpus else None,
        "PidsLimit": arguments.pids_limit,
        "ShmSize": arguments.shm_size,
        "Annotations": arguments.annotation,
    }
    return {key: value for key, value in given.items() if value not in ("", None, [], {}, False)}


def _restart(text: str) -> dict[str, Any] | None:
    name, colon, count = text.partition(":")
    if name in ("", "no") and not colon:
        return None
    if colon and not count.isdecimal():
        raise CliError("invalid restart policy format: maximum retry count must be an integer", NOT_RUN)
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _log(arguments: Arguments) -> dict[str, Any] | None:
    if not arguments.log_driver and not arguments.log_opt:
        return None
    return {"Type": arguments.log_driver, "Config": arguments.log_opt}
