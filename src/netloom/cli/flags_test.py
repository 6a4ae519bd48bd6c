import pytest

from netloom.cli.errors import CliError
from netloom.cli.flags import Arguments, Flag, HelpAsked, Usage, read

FLAGS = (
    Flag("interactive", "i", "bool"),
    Flag("tty", "t", "bool"),
    Flag("publish", "p", "list"),
    Flag("alias", kind="csv"),
    Flag("opt", "o", "map"),
    Flag("name"),
    Flag("last", "n", "int", default=-1),
    Flag("memory", "m", "bytes"),
    Flag("network", kind="list", alias="net"),
)
RUN = Usage("run", "IMAGE [COMMAND] [ARG...]", 1, -1, "Run", FLAGS, stop_at_word=True)
ANY = Usage("network connect", "NETWORK CONTAINER", 2, 2, "Connect", FLAGS)


def run(*argv: str) -> Arguments:
    return read(RUN, argv)


def refusal(usage: Usage, *argv: str) -> tuple[str, int]:
    with pytest.raises(CliError) as caught:
        read(usage, argv)
    return caught.value.text.split("\n")[0], caught.value.code


def test_short_ones_together_and_values_joined() -> None:
    got = run("-it", "-p80:80", "-p", "81:81", "-p=82:82", "image")
    assert got.interactive
    assert got.tty
    assert got.publish == ["80:80", "81:81", "82:82"]
    assert got.words == ["image"]


def test_switches_take_values() -> None:
    got = run("--tty=false", "--interactive=1", "-t=true", "x")
    assert got.tty
    assert got.interactive
    assert not run("x").tty


def test_every_kind() -> None:
    got = run(
        "--alias", "a,b", "--alias=c", "-o", "k=v", "-o", "x=y=z", "-o", "bare", "-n-3", "-m", "1.5g", "--net", "r", "x"
    )
    assert got.alias == ["a", "b", "c"]
    assert got.opt == {"k": "v", "x": "y=z", "bare": ""}
    assert got.last == -3
    assert got.memory == 1.5 * (1 << 30)
    assert got.network == ["r"]
    assert got.given == {"alias", "opt", "last", "memory", "network"}


def test_what_is_not_given_has_its_default_of_its_own() -> None:
    first, second = run("x"), run("x")
    first.publish.append("y")
    assert second.publish == []
    assert (second.last, second.memory, second.name, second.opt) == (-1, None, "", {})
    with pytest.raises(AttributeError):
        _ = second.nothing


def test_flags_after_the_image_are_the_programs() -> None:
    got = run("-t", "image", "-i", "--name", "x", "--")
    assert got.words == ["image", "-i", "--name", "x", "--"]
    assert not got.interactive


def test_flags_may_stand_anywhere_else() -> None:
    got = read(ANY, ["net", "--name", "n", "box"])
    assert got.words == ["net", "box"]
    assert read(ANY, ["--", "-t", "--name"]).words == ["-t", "--name"]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("--foo", "x"), "unknown flag: --foo"),
        (("-q", "x"), "unknown shorthand flag: 'q' in -q"),
        (("-tq", "x"), "unknown shorthand flag: 'q' in -tq"),
        (("--name",), "flag needs an argument: --name"),
        (("-p",), "flag needs an argument: 'p' in -p"),
        (("--tty=x", "y"), 'invalid argument "x" for "-t, --tty" flag: strconv.ParseBool: parsing "x": invalid syntax'),
        (("-n", "x"), 'invalid argument "x" for "-n, --last" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        (("-m", "x"), 'invalid argument "x" for "-m, --memory" flag: invalid size: \'x\''),
    ],
)
def test_faults_are_told_in_dockers_words(argv: tuple[str, ...], sentence: str) -> None:
    assert refusal(RUN, *argv) == (sentence, 125)


@pytest.mark.parametrize(
    ("usage", "argv", "sentence"),
    [
        (RUN, (), "netloom: 'netloom run' requires at least 1 argument"),
        (ANY, ("a",), "netloom: 'netloom network connect' requires 2 arguments"),
        (Usage("network ls", "", 0, 0, ""), ("x",), "netloom: 'netloom network ls' accepts no arguments"),
        (Usage("logs", "CONTAINER", 1, 1, ""), ("x", "y"), "netloom: 'netloom logs' requires 1 argument"),
    ],
)
def test_number_of_words(usage: Usage, argv: tuple[str, ...], sentence: str) -> None:
    assert refusal(usage, *argv) == (sentence, 1)


def test_help() -> None:
    for word in ("--help", "-h"):
        with pytest.raises(HelpAsked):
            run(word)
    text = RUN.help()
    assert text.startswith("Usage:  netloom run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun\n\nOptions:\n")
    assert "  -p, --publish list" in text
