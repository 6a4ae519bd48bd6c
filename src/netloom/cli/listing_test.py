import pytest

from netloom.cli.errors import CliError
from netloom.cli.listing import Layout, listed
from netloom.cli.template import Row

LAYOUT = Layout("{{.ID}}\t{{.Name}}\t{{.Driver}}", {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER"}, "ID")
ROWS = [
    Row({"ID": "e211d671e1a2", "Name": "bridge", "Driver": "bridge"}, {"Label": lambda key: f"<{key}>"}),
    Row({"ID": "ef38e9c3b3ab", "Name": "averylongname", "Driver": "null"}, {"Label": lambda key: ""}),
]


def test_table_as_docker_aligns_it() -> None:
    assert listed(ROWS[:1], LAYOUT, "") == ("NETWORK ID     NAME      DRIVER\ne211d671e1a2   bridge    bridge\n")
    assert listed(ROWS, LAYOUT, "table").splitlines()[2] == "ef38e9c3b3ab   averylongname   null"
    assert listed([], LAYOUT, "") == "NETWORK ID   NAME      DRIVER\n"


def test_own_tables_and_lines() -> None:
    assert listed(ROWS, LAYOUT, r'table {{.Name}}\t{{.Label "com.example.the-role"}}') == (
        "NAME            the role\nbridge          <com.example.the-role>\naverylongname   \n"
    )
    assert listed(ROWS, LAYOUT, r"{{.Name}}\t{{.ID}}") == "bridge\te211d671e1a2\naverylongname\tef38e9c3b3ab\n"
    assert listed(ROWS[:1], LAYOUT, "json") == '{"ID":"e211d671e1a2","Name":"bridge","Driver":"bridge"}\n'


def test_quiet() -> None:
    assert listed(ROWS, LAYOUT, "", quiet=True) == "e211d671e1a2\nef38e9c3b3ab\n"


def test_faults() -> None:
    with pytest.raises(CliError, match=r"^failed to execute template: .*can't evaluate field Foo"):
        listed(ROWS, LAYOUT, "{{.Foo}}")
    with pytest.raises(CliError, match=r"^failed to parse template: template: :1: unclosed action$"):
        listed(ROWS, LAYOUT, "{{.ID")
