"""The configuration as TOML, in the words that the configuration file itself understands."""

from __future__ import annotations

import json
from collections.abc import Sequence

from netloom.daemon.config import Config
from netloom.daemon.options import OPTIONS
from netloom.daemon.values import NetworkOption, Pool


def show(config: Config) -> str:
    """The file that would say the same; what is left to the engine is left out."""
    lines = []
    for option in OPTIONS:
        value = getattr(config, option.field)
        if value not in ("", (), None):
            lines.append(f"{option.key} = {literal(value)}\n")
    return "".join(lines)


def literal(value: object) -> str:
    """One value of a Config."""
    match value:
        case (str(host), int(port)):
            return json.dumps(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        case Pool(base=base, size=size):
            return f"{{ base = {json.dumps(base)}, size = {size} }}"
        case (NetworkOption(), *_):
            return _drivers([option for option in value if isinstance(option, NetworkOption)])
        case tuple():
            return f"[{', '.join(literal(item) for item in value)}]"
        case _:
            return json.dumps(value)


def _drivers(options: Sequence[NetworkOption]) -> str:
    drivers: dict[str, list[str]] = {}
    for option in options:
        drivers.setdefault(option.driver, []).append(f"{json.dumps(option.key)} = {json.dumps(option.value)}")
    tables = [f"{json.dumps(driver)} = {{ {', '.join(pairs)} }}" for driver, pairs in drivers.items()]
    return f"{{ {', '.join(tables)} }}"
