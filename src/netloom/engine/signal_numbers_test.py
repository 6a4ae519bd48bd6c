import pytest

from netloom.engine.signal_numbers import signal_number
from netloom.model.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("SIGTERM", 15), ("term", 15), ("15", 15), ("64", 64), ("RTMIN+3", 37), ("RTMAX-1", 63)],
)
def test_every_way_to_name_a_signal(text: str, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["0", "-1", "", "SIG", "NOSUCH", "RTMIN+31", "RTMAX-31", "9" * 5000, "²"])
def test_what_names_none(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid signal: "):
        signal_number(text)


def test_a_number_that_linux_does_not_have() -> None:
    with pytest.raises(InvalidArgument, match=r"^the linux daemon does not support signal 99$"):
        signal_number("99")
