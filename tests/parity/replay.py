"""Replay of captured answers: one sequence of raw requests against a live daemon, and where the answers differ."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple

from netloom.testing.daemons import Daemon

TESTDATA = Path(__file__).parent / "testdata"
_IDS = re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{12}\b")


class Deliberate(NamedTuple):
    """An answer that differs on purpose: ours, and the reason (docs/differences.md has them all)."""

    reason: str
    status: int
    message: str = ""
    names: list[str] | None = None

    def expected(self) -> dict[str, Any]:
        """In place of what Docker answers."""
        return {"status": self.status, "message": self.message, "names": self.names}


def differences(daemon: Daemon, name: str, deliberate: Mapping[str, Deliberate]) -> list[str]:
    """One line for each case that is answered in another way than captured. Every exception must be used."""
    golden = json.loads((TESTDATA / name).read_text())
    for step in golden["setup"]:
        daemon.json(step["method"], step["path"], step.get("body"))
    found, unused = [], set(deliberate)
    for case in golden["cases"]:
        status, body = request(daemon, case)
        key = case["path"] if case["case"].startswith("… ") else case["case"]
        exception = deliberate.get(key)
        unused.discard(key)
        expected = {**case, **exception.expected()} if exception else case
        if fault := _fault(expected, status, body):
            found.append(f"{case['case']}: {case['method']} {case['path']}: {fault}")
    return found + [f"{key}: never asked" for key in sorted(unused)]


def request(daemon: Daemon, case: Mapping[str, Any]) -> tuple[int, str]:
    """Send it as it was sent; status and text."""
    path = re.sub(r"{(\w+)}", lambda name: daemon.network(name[1])["Id"][:6], case["path"])
    connection = HTTPConnection("docker", timeout=60)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(60)
        connection.sock.connect(str(daemon.socket))
        text = case.get("raw", json.dumps(case["body"]) if "body" in case else None)
        headers = case.get("headers") or ({"Content-Type": "application/json"} if text else {})
        connection.request(case["method"], path, text.encode() if text is not None else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _fault(case: Mapping[str, Any], status: int, body: str) -> str:
    if status != case["status"]:
        return f"{status} {body.strip()}, not {case['status']} {case.get('message', '')}"
    if message := case.get("message"):
        ours = _plain(_message(body))
        theirs = _plain(message)
        if ours != theirs and not ours.startswith((f"{theirs}: ", f"{theirs}, ")):
            return f"{ours!r}, not {theirs!r}"
    if (names := case.get("names")) is not None and (ours := sorted(n["Name"] for n in json.loads(body))) != names:
        return f"{ours}, not {names}"
    if "deleted" in case and sorted(json.loads(body)["NetworksDeleted"] or ()) != sorted(case["deleted"] or ()):
        return f"{body}, not {case['deleted']}"
    return ""


def _message(body: str) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.strip()


def _plain(text: str) -> str:
    return _IDS.sub("<id>", text)
