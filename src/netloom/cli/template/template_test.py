from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.cli.template import Row, Template, TemplateError

DATA: dict[str, Any] = {
    "Id": "f5373a9c19fc7a",
    "Name": "/fq",
    "Created": 3,
    "State": {"Status": "running", "Running": True, "Pid": 31300},
    "Config": {"Cmd": ["sleep", "300"], "Labels": {"b": "2", "a": "<1>"}, "Env": None},
    "Mounts": [],
    "Networks": {"red": {"IP": "10.0.0.2"}, "blue": {"IP": "10.0.1.2"}},
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "/fq"),
        ("{{.ID}}", "f5373a9c19fc7a"),
        ("{{ .State.Status }}-{{$.Name}}", "running-/fq"),
        ("{{.State}}", "map[Pid:31300 Running:true Status:running]"),
        ("{{.Config.Cmd}}", "[sleep 300]"),
        ("{{.Config.Env}}", "<no value>"),
        ("{{.Config.Labels.foo}}", "<no value>"),
        ("{{json .Config.Labels}}", '{"b":"2","a":"\\u003c1\\u003e"}'),
        ("{{json .}}|".replace("json .", "json .Config.Env"), "null|"),
        ('{{index .Config.Labels "a"}}', "<1>"),
        ('{{index .Config.Labels "x"}}|', "|"),
        ("{{index .Config.Cmd 1}}", "300"),
        ('{{index .Networks "red" "IP"}}', "10.0.0.2"),
        ("{{(index .Networks `red`).IP}}", "10.0.0.2"),
        ("{{.Name | upper}}", "/FQ"),
        ('{{(index .Config.Cmd 0) | printf "%q"}}', '"sleep"'),
        ('{{printf "%s-%d-%v-%5.1f%%" .Name .Created .State.Running 2.25}}', "/fq-3-true-  2.2%"),
        ("{{slice .Id 0 12}}", "f5373a9c19fc"),
        ('{{split "a:b" ":"}} {{join .Config.Cmd ","}}', "[a b] sleep,300"),
        ("{{len .Config.Cmd}} {{len .Networks}} {{len .Name}}", "2 2 3"),
        ("{{if .State.Running}}yes{{else}}no{{end}}", "yes"),
        ("{{if not .State.Running}}a{{else if eq .Created 3}}b{{else}}c{{end}}", "b"),
        ("{{range .Mounts}}x{{else}}none{{end}}", "none"),
        ("{{range .Config.Cmd}}<{{.}}>{{end}}", "<sleep><300>"),
        ("{{range $i, $e := .Config.Cmd}}{{$i}}:{{$e}} {{end}}", "0:sleep 1:300 "),
        ("{{range $k, $v := .Networks}}{{$k}}={{$v.IP}};{{end}}", "blue=10.0.1.2;red=10.0.0.2;"),
        ("{{range $e := .Config.Cmd}}{{$e}}{{$.Created}}{{end}}", "sleep33003"),
        ("{{with .State}}{{.Status}}{{end}}{{with .Mounts}}x{{else}}-{{end}}", "running-"),
        ("{{$x := .Name}}{{$x}}{{$x = .Created}}{{$x}}", "/fq3"),
        ('{{eq .State.Status "running" "x"}} {{ne 1 2}} {{lt 1 2}} {{ge 1 2}}', "true true true false"),
        ('{{not true}} {{and true .Name}} {{or "" "x"}}', "false /fq x"),
        ('{{title "ab cd"}}{{pad .Name 1 2}}|{{truncate .Name 2}}', "Ab Cd /fq  |/f"),
        ('{{/* c */}}a{{- " b " -}} c', "a b c"),
        ("a {{- .Created}} {{.Created -}} b", "a3 3b"),
        ('{{"a\\nb"}}{{println .Name}}', "a\nb/fq\n"),
        ("{{true}} {{nil}} {{-3}} {{1.5}}", "true <no value> -3 1.5"),
    ],
)
def test_renders_as_go(template: str, expected: str) -> None:
    assert Template(template).render(DATA) == expected


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{{.Foo}}", 'template: :1:2: executing "" at <.Foo>: map has no entry for key "Foo"'),
        ("{{.State.Foo}}", 'template: :1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"'),
        ("{{.Name.X}}", "can't evaluate field X in a value that is no object: /fq"),
        (
            "{{index .Config.Cmd 9}}",
            'template: :1:2: executing "" at <index>: error calling index: index out of range: 9',
        ),
        ("{{index .Config.Env 0}}", "error calling index: index of untyped nil"),
        ("{{upper .Created}}", "error calling upper"),
        ("{{range .Name}}{{end}}", "range can't iterate over /fq"),
        ("{{.Name .Id}}", "can't give argument to non-function"),
    ],
)
def test_what_does_not_fit_the_data(template: str, sentence: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(template).render(DATA)
    assert sentence in str(caught.value)
    assert not caught.value.parsing


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{{.ID", "template: :1: unclosed action"),
        ("{{.Name}", "template: :1: bad character U+007D '}'"),
        ("{{foo .X}}", 'template: :1: function "foo" not defined'),
        ("{{if}}", "template: :1: missing value for if"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{range .Config.Cmd}}", "template: :1: unexpected EOF"),
        ('{{"abc}}', "template: :1: unterminated quoted string"),
        ("{{(.Name}}", "template: :1: unclosed left paren"),
        ("{{.Name | }}", "template: :1: missing value for command"),
        ('{{template "x"}}', "template: :1: {{template}} is not supported by netloom"),
    ],
)
def test_what_cannot_be_read(template: str, sentence: str) -> None:
    with pytest.raises(TemplateError) as caught:
        Template(template)
    assert str(caught.value) == sentence
    assert caught.value.parsing


def test_rows_have_methods_and_know_their_fields() -> None:
    row = Row({"Name": "red"}, {"Label": lambda key: {"a": "1"}.get(key, "")})
    assert Template('{{.Name}}{{.Label "a"}}{{.Label "b"}}|{{json .}}').render(row) == 'red1|{"Name":"red"}'
    with pytest.raises(TemplateError, match="can't evaluate field Foo"):
        Template("{{.Foo}}").render(row)


@given(
    st.text(max_size=40)
    | st.lists(
        st.sampled_from(
            ["{{", "}}", ".Name", "range", "end", "$x", ":=", "|", "(", ")", " ", '"', "if", "-", "index", "1"]
        ),
        max_size=12,
    ).map("".join)
)
def test_any_text_renders_or_is_refused(text: str) -> None:
    with suppress(TemplateError):
        assert isinstance(Template(text).render(DATA), str)
