import time

import pytest

from netloom.cli.errors import CliError
from netloom.cli.timing import go_time, human_span, moment


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.3, "Less than a second"),
        (1, "1 second"),
        (59.9, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (59 * 60, "59 minutes"),
        (3600, "About an hour"),
        (2 * 3600, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_human_span(seconds: float, expected: str) -> None:
    assert human_span(seconds) == expected


def test_go_time() -> None:
    assert go_time("2026-11-24T18:42:43.230715139Z") == "2026-11-24 18:42:43.230715139 +0000 UTC"


def test_moments() -> None:
    assert moment("1795549213", "since") == "1795549213"
    assert moment("1795549213.5", "since") == "1795549213.5"
    assert moment("2026-11-24T19:40:13Z", "since") == "1795549213.000000000"
    assert moment("2026-11-24T19:40:13.123456789Z", "since") == "1795549213.123456789"
    assert moment("2026-11-24T20:40:13.5+01:00", "since") == "1795549213.500000000"
    before = time.time() - 5400
    assert before - 1 < float(moment("1h30m", "since")) < before + 60


def test_nonsense_is_refused() -> None:
    with pytest.raises(CliError, match='invalid value for "since": failed to parse value as time or duration: "x"'):
        moment("x", "since")
