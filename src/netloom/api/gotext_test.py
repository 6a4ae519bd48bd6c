import pytest

from netloom.api import gotext
from netloom.model.errors import InvalidArgument


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (0, "0001-01-01T00:00:00Z"),
        (1795480048499696608, "2026-11-24T00:27:28.499696608Z"),
        (1795480048499696600, "2026-11-24T00:27:28.4996966Z"),
        (1795480048000000000, "2026-11-24T00:27:28Z"),
    ],
)
def test_rfc3339nano_trims_zeros(nanos: int, text: str) -> None:
    assert gotext.rfc3339nano(nanos) == text


def test_log_times_keep_all_digits() -> None:
    assert gotext.rfc3339nano_fixed(1795480048100000000) == "2026-11-24T00:27:28.100000000Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.9, "Less than a second"),
        (1.9, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (150, "2 minutes"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (5400, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (15 * 86400, "2 weeks"),
        (70 * 86400, "2 months"),
        (3 * 365 * 86400, "3 years"),
    ],
)
def test_human_duration(seconds: float, text: str) -> None:
    assert gotext.human_duration(int(seconds * 1e9)) == text


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("", 0),
        ("1795546725", 1795546725 * 10**9),
        ("1795546725.5", 17955467255 * 10**8),
        ("1795546725.000000001", 1795546725 * 10**9 + 1),
        ("2026-11-24T00:27:28.5Z", 17954800485 * 10**8),
        ("2026-11-24T01:27:28+01:00", 1795480048 * 10**9),
        ("2026-11-24", 1795478400 * 10**9),
    ],
)
def test_timestamps(text: str, nanos: int) -> None:
    assert gotext.parse_timestamp(text) == nanos


@pytest.mark.parametrize("text", ["x", "1h", "1.x", "2026-13-40", "--1", "9" * 30, "1e3"])
def test_timestamps_that_are_none(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"strconv\.ParseInt: parsing "):
        gotext.parse_timestamp(text)


def test_until_of_prune_counts_back() -> None:
    now = 1795480048 * 10**9
    assert gotext.parse_until("1h30m", now) == now - 5400 * 10**9
    assert gotext.parse_until("1795480000", now) == 1795480000 * 10**9
    with pytest.raises(InvalidArgument, match='failed to parse value as time or duration: "x"'):
        gotext.parse_until("x", now)


def test_booleans_and_numbers_as_strconv() -> None:
    assert gotext.parse_bool("T") is True
    assert gotext.parse_bool("0") is False
    with pytest.raises(InvalidArgument, match=r'^strconv\.ParseBool: parsing "odd": invalid syntax$'):
        gotext.parse_bool("odd")
    assert gotext.parse_int("-5") == -5
    with pytest.raises(InvalidArgument, match="value out of range"):
        gotext.parse_int("9" * 5000)


def test_quote() -> None:
    assert gotext.quote('a"\n\x00ü\u200b') == '"a\\"\\n\\x00ü\\u200b"'
