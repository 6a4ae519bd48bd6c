"""Reads every import of the source and holds it against the order of the layers.

A package imports only packages that stand before it in LAYERS. Tests beside the code may import anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "netloom"

LAYERS = (
    "model ipam dns dhcp firewall netlink policy containers drivers plan kernel runtime images volumes events remote "
    "store "
    "engine api testing cli dataplane daemon"
).split()

PURE = set(LAYERS[: LAYERS.index("kernel")])

# Tighter than the order: the data plane lives in a process of its own, the CLI must start in under 100 ms.
ONLY = {"dataplane": {"model", "dns", "netlink", "kernel"}, "cli": {"model"}}

# What may be imported inside a function though it stands later: `netloom daemon` is one of the CLI's commands.
LATE = {"cli": {"daemon", "dataplane"}}

# Modules by which a program reaches the world, reads a clock or rolls dice.
OUTSIDE = set("aiohttp ctypes fcntl http mmap multiprocessing pty select selectors shutil socketserver".split())
OUTSIDE |= set("sqlite3 ssl subprocess tempfile termios urllib uvloop".split())
IMPURE = OUTSIDE | set("asyncio concurrent datetime glob io pathlib random secrets threading time uuid".split())

# Of modules that hold both, the names that only compute.
COMPUTES = {
    "signal": {"Signals", "strsignal"},
    "os": {"strerror", "fspath", "path", "sep"},
    "socket": {"htons", "htonl", "ntohs", "ntohl", "inet_aton", "inet_ntoa", "inet_pton", "inet_ntop"},
}


def files(package: str) -> Iterator[Path]:
    """The source files of a package, without its tests."""
    for path in sorted((SOURCE / package).rglob("*.py")):
        if not path.name.endswith("_test.py") and path.name != "conftest.py" and "testdata" not in path.parts:
            yield path


def imports(tree: ast.AST) -> Iterator[tuple[int, str, bool]]:
    """Line, dotted name and whether it happens at import time, for each import; relative ones are refused."""
    late = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield node.lineno, name.name, id(node) not in late
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            for name in node.names:
                yield node.lineno, f"{node.module}.{name.name}", id(node) not in late


def layer(dotted: str) -> str | None:
    """The package of ours that an import names; None for others and for the root package itself."""
    parts = dotted.split(".")
    return parts[1] if parts[0] == "netloom" and len(parts) > 1 and (SOURCE / parts[1]).is_dir() else None


def misplaced(package: str, tree: ast.AST) -> Iterator[str]:
    """Imports of a package that must not know what it imports."""
    earlier = ONLY.get(package, set(LAYERS[: LAYERS.index(package)])) | {package}
    for line, dotted, at_import in imports(tree):
        target = layer(dotted)
        if target is None or target in earlier:
            continue
        if not at_import and target in LATE.get(package, ()):
            continue
        yield f"line {line}: {package} must not import {dotted}"


def worldly(tree: ast.AST, forbidden: set[str]) -> Iterator[str]:
    """Forbidden modules, files by `open`, and the parts of `os` and `socket` that do more than compute."""
    for line, dotted, _ in imports(tree):
        root, _, rest = dotted.partition(".")
        if root in forbidden or (rest and not computes(root, rest)):
            yield f"line {line}: imports {dotted}"
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="open")):
                yield f"line {node.lineno}: opens a file"
            case ast.Attribute(value=ast.Name(id=module), attr=name) if not computes(module, name):
                yield f"line {node.lineno}: uses {module}.{name}"


def computes(module: str, name: str) -> bool:
    """Is this name of a module harmless? Of those listed, constants are, and the names beside them."""
    return module not in COMPUTES or name in COMPUTES[module] or name.isupper()


def report(path: Path, faults: Iterator[str]) -> list[str]:
    return [f"{path.relative_to(SOURCE)}, {fault}" for fault in faults]


def parsed(path: Path) -> ast.AST:
    return ast.parse(path.read_text(), str(path))


def test_every_package_has_its_place() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages <= set(LAYERS), f"no place in the order: {sorted(packages - set(LAYERS))}"


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in SOURCE.rglob("*.py")}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()], "the wheel would lack them"


@pytest.mark.parametrize("package", LAYERS)
def test_a_package_imports_only_what_stands_before_it(package: str) -> None:
    faults = [fault for path in files(package) for fault in report(path, misplaced(package, parsed(path)))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("package", sorted(PURE))
def test_pure_packages_touch_nothing(package: str) -> None:
    faults = [fault for path in files(package) for fault in report(path, worldly(parsed(path), IMPURE))]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("package", ["engine", "events"])
def test_the_engine_reaches_the_world_only_through_its_seams(package: str) -> None:
    faults = [
        f"{path.relative_to(SOURCE)}, line {line}: imports {dotted}"
        for path in files(package)
        for line, dotted, _ in imports(parsed(path))
        if dotted.split(".")[0] in OUTSIDE | {"socket"}
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("package", "source", "faults"),
    [
        ("ipam", "from netloom.model import errors", 0),
        ("ipam", "from netloom.engine.ports import Rows", 1),
        ("ipam", "import netloom.daemon", 1),
        ("cli", "from netloom.daemon import main", 1),
        ("cli", "def run():\n    from netloom.daemon import main", 0),
        ("cli", "def run():\n    from netloom.engine import core", 1),
        ("dataplane", "import netloom.dns.wire\nimport netloom.store", 1),
    ],
)
def test_the_order_is_really_held(package: str, source: str, faults: int) -> None:
    assert len(list(misplaced(package, ast.parse(source)))) == faults


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("import time", 1),
        ("from random import choice", 1),
        ("import os\nos.strerror(1)", 0),
        ("import os\nos.stat('/')", 1),
        ("from os import urandom", 1),
        ("import socket\nsocket.inet_pton(socket.AF_INET, '')", 0),
        ("import socket\nsocket.socket()", 1),
        ("open('/etc/hosts')", 1),
    ],
)
def test_impurity_is_really_seen(source: str, faults: int) -> None:
    assert len(list(worldly(ast.parse(source), IMPURE))) == faults
