from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from netloom.daemon.logging import configure


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Where the log goes; the root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


def test_logfmt_keeps_a_hostile_value_on_its_line(written: io.StringIO) -> None:
    configure("info", "text", written)
    logging.getLogger("netloom.engine").info("attached", extra={"network": 'a" level=error\nb', "port": 80, "ok": True})
    line = written.getvalue()
    assert line.endswith('Z level=info msg=attached from=engine network="a\\" level=error\\nb" port=80 ok=true\n')
    assert line.count("\n") == 1


def test_json_holds_every_field(written: io.StringIO) -> None:
    configure("info", "json", written)
    logging.getLogger("netloom").warning("odd %s", "thing", extra={"network": "red", "path": {"a": 1}})
    record = json.loads(written.getvalue())
    assert record["level"] == "warn"
    assert record["msg"] == "odd thing"
    assert record["network"] == "red"
    assert record["path"] == {"a": 1}


def test_an_exception_is_one_line_with_its_trace(written: io.StringIO) -> None:
    configure("info", "text", written)
    try:
        raise ValueError("boom")
    except ValueError:
        logging.getLogger("netloom").exception("failed")
    line = written.getvalue()
    assert line.count("\n") == 1
    assert "error=\"ValueError('boom')\"" in line
    assert "Traceback" in line


def test_the_level_holds(written: io.StringIO) -> None:
    configure("warn", "text", written)
    logging.getLogger("netloom").info("quiet")
    logging.getLogger("netloom").critical("loud")
    assert "quiet" not in written.getvalue()
    assert "level=fatal" in written.getvalue()
