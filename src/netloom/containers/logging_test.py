"""Log drivers and their options, in Docker's words."""

import pytest

from netloom.containers.logging import LogFile, check, log_file
from netloom.model.errors import Failed, InvalidArgument, Unsupported
from netloom.model.host_config import HostConfig, LogConfig

MB = 1 << 20


@pytest.mark.parametrize(
    ("kind", "options", "file"),
    [
        ("json-file", {}, LogFile()),
        ("", {"max-size": "10m"}, LogFile(limit=10 * MB)),
        ("json-file", {"max-size": "10m", "max-file": "3"}, LogFile(limit=30 * MB)),
        ("json-file", {"max-size": "1.5KB", "mode": "blocking"}, LogFile(limit=1536)),
        ("json-file", {"max-size": "1g", "max-file": "2", "compress": "true"}, LogFile(limit=2 << 30)),
        ("json-file", {"max-file": "2"}, LogFile()),
        ("local", {}, LogFile(limit=100 * MB)),
        ("none", {"max-size": "x"}, LogFile(kept=False)),
    ],
)
def test_files(kind: str, options: dict[str, str], file: LogFile) -> None:
    config = LogConfig(kind, options)
    check(config)
    assert log_file(HostConfig(log_config=config)) == file


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"max-size": "x"}, "invalid size: 'x'"),
        ({"max-size": "-1"}, "invalid size: '-1'"),
        ({"max-size": "0"}, "max-size must be a positive number"),
        ({"max-file": "0"}, "max-file cannot be less than 1"),
        ({"max-file": "x"}, 'strconv.Atoi: parsing "x": invalid syntax'),
        ({"compress": "true"}, "compress cannot be true when max-file is less than 2 or max-size is not set"),
        ({"compress": "x"}, 'strconv.ParseBool: parsing "x": invalid syntax'),
    ],
)
def test_what_the_start_says(options: dict[str, str], reason: str) -> None:
    config = LogConfig("json-file", options)
    check(config)
    with pytest.raises(Failed) as caught:
        log_file(HostConfig(log_config=config))
    assert (
        caught.value.sentence == f"failed to create task for container: failed to initialize logging driver: {reason}"
    )


@pytest.mark.parametrize(
    ("kind", "options", "sentence"),
    [
        ("nosuch", {}, 'error looking up logging plugin nosuch: plugin "nosuch" not found'),
        ("json-file", {"foo": "x"}, "unknown log opt 'foo' for json-file log driver"),
        ("json-file", {"mode": "bad"}, "logger: logging mode not supported: bad"),
        (
            "json-file",
            {"max-buffer-size": "1m"},
            "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
        ),
    ],
)
def test_what_is_wrong(kind: str, options: dict[str, str], sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check(LogConfig(kind, options))
    assert caught.value.sentence == sentence


@pytest.mark.parametrize(
    ("kind", "options"),
    [("journald", {}), ("json-file", {"tag": "x"}), ("json-file", {"mode": "non-blocking"}), ("local", {"env": "A"})],
)
def test_what_is_not_there(kind: str, options: dict[str, str]) -> None:
    with pytest.raises(Unsupported):
        check(LogConfig(kind, options))
