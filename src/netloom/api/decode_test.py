"""Docker 28.5's sentences for bodies that are not what they should be, as a real one gave them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netloom.api.decode import check_content_type, decode
from netloom.api.jsonscan import first_value_end
from netloom.api.shapes import CONTAINER_CREATE, EXEC_START, NETWORK_CREATE
from netloom.model.errors import InvalidArgument

FIELD = "json: cannot unmarshal {} into Go struct field {} of type {}"
ELEMENT = "json: cannot unmarshal {} into {} of type {}"
NETWORK = {
    '{"Name":1}': FIELD.format("number", "CreateRequest.Name", "string"),
    '{"Name":1e400}': FIELD.format("number", "CreateRequest.Name", "string"),
    "[]": "json: cannot unmarshal array into Go value of type network.CreateRequest",
    "1": "json: cannot unmarshal number into Go value of type network.CreateRequest",
    '"s"': "json: cannot unmarshal string into Go value of type network.CreateRequest",
    "true": "json: cannot unmarshal bool into Go value of type network.CreateRequest",
    '{"Labels":{"a":1}}': FIELD.format("number", "CreateRequest.Labels.a", "string"),
    '{"Labels":[]}': FIELD.format("array", "CreateRequest.Labels", "map[string]string"),
    '{"Internal":"true"}': FIELD.format("string", "CreateRequest.Internal", "bool"),
    '{"EnableIPv6":1}': FIELD.format("number", "CreateRequest.EnableIPv6", "bool"),
    '{"IPAM":{"Config":{}}}': FIELD.format("object", "CreateRequest.IPAM.Config", "[]network.IPAMConfig"),
    '{"IPAM":{"Config":[1]}}': ELEMENT.format("number", "CreateRequest.IPAM.Config.0", "network.IPAMConfig"),
    '{"IPAM":{"Config":[{"Subnet":1}]}}': FIELD.format("number", "CreateRequest.IPAM.Config.0.Subnet", "string"),
    '{"IPAM":{"Config":[{"AuxiliaryAddresses":{"a":[]}}]}}': FIELD.format(
        "array", "CreateRequest.IPAM.Config.0.AuxiliaryAddresses.a", "string"
    ),
    '{"IPAM":[]}': FIELD.format("array", "CreateRequest.IPAM", "network.IPAM"),
    '{"Name":"x"': "unexpected EOF",
    '{"Name":x}': "invalid character 'x' looking for beginning of value",
    '{"Name":"x",}': "invalid character '}' looking for beginning of object key string",
    '{Name:"x"}': "invalid character 'N' looking for beginning of object key string",
    "{'Name'}": r"invalid character '\'' looking for beginning of object key string",
    '{"Name":"a\nb"}': r"invalid character '\n' in string",
    r'{"Name":"\x"}': r"invalid escape sequence `\x` in string",
    '{"Name":01}': "invalid character '1' after object key:value pair",
    '{"Name":-}': "invalid character '}' in numeric literal",
    '{"Name":tru}': "invalid character '}' in literal true (expecting 'e')",
    "[": "unexpected EOF",
    "nul": "unexpected EOF",
    "  ": "got EOF while reading request body",
    '{"Name" "x"}': "invalid character '\"' after object key",
    '{"Labels":{"a":"b" "c":1}}': "invalid character '\"' after object key:value pair",
    "[1 2]": "invalid character '2' after array element",
}
CONTAINER = {
    '{"Image":1}': FIELD.format("number", ".Image", "string"),
    '{"Cmd":[1]}': "json: cannot unmarshal array into Go value of type string",
    '{"Cmd":1}': "json: cannot unmarshal number into Go value of type string",
    '{"HostConfig":[]}': FIELD.format("array", ".HostConfig", "container.HostConfig"),
    '{"HostConfig":{"Memory":"x"}}': FIELD.format("string", ".HostConfig.Memory", "int64"),
    '{"HostConfig":{"Memory":1.5}}': FIELD.format("number 1.5", ".HostConfig.Memory", "int64"),
    '{"HostConfig":{"PortBindings":{"80/tcp":{}}}}': FIELD.format(
        "object", ".HostConfig.PortBindings.80~1tcp", "[]nat.PortBinding"
    ),
    '{"HostConfig":{"PortBindings":{"80/tcp":[1]}}}': ELEMENT.format(
        "number", ".HostConfig.PortBindings.80~1tcp.0", "nat.PortBinding"
    ),
    '{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":80}]}}}': FIELD.format(
        "number", ".HostConfig.PortBindings.80~1tcp.0.HostPort", "string"
    ),
    '{"ExposedPorts":[]}': FIELD.format("array", ".ExposedPorts", "nat.PortSet"),
    '{"ExposedPorts":{"80/tcp":1}}': FIELD.format("number", ".ExposedPorts.80~1tcp", "struct {}"),
    '{"NetworkingConfig":{"EndpointsConfig":{"n":1}}}': FIELD.format(
        "number", ".NetworkingConfig.EndpointsConfig.n", "network.EndpointSettings"
    ),
    '{"NetworkingConfig":{"EndpointsConfig":{"n":{"GwPriority":"1"}}}}': FIELD.format(
        "string", ".NetworkingConfig.EndpointsConfig.n.GwPriority", "int"
    ),
    '{"HostConfig":{"NetworkMode":1}}': FIELD.format("number", ".HostConfig.NetworkMode", "container.NetworkMode"),
    '{"StopTimeout":"a"}': FIELD.format("string", ".StopTimeout", "int"),
    '{"HostConfig":{"Sysctls":{"a":1}}}': FIELD.format("number", ".HostConfig.Sysctls.a", "string"),
}


@pytest.mark.parametrize(
    ("shape", "body", "sentence"),
    [(NETWORK_CREATE, *case) for case in NETWORK.items()]
    + [(CONTAINER_CREATE, *case) for case in CONTAINER.items()]
    + [(EXEC_START, "[]", "json: cannot unmarshal array into Go value of type container.ExecStartOptions")],
)
def test_sentences(shape, body, sentence) -> None:
    with pytest.raises(InvalidArgument) as caught:
        decode(body.encode(), shape)
    assert str(caught.value) == f"invalid JSON: {sentence}"


@pytest.mark.parametrize("body", ['{"Name":"x"} {"a":1}', '{"Name":"x"}x', '{"Name":"x"}}', "{}[", "null null"])
def test_trailing_content(body: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^unexpected content after JSON$"):
        decode(body.encode(), NETWORK_CREATE)


def test_a_wrong_type_is_told_before_what_trails() -> None:
    with pytest.raises(InvalidArgument, match=r"CreateRequest\.Name of type string"):
        decode(b'{"Name":1} x', NETWORK_CREATE)


def test_keys_and_null_as_in_go() -> None:
    assert decode(b'{"name":"a","Whatever":1}', NETWORK_CREATE) == {"Name": "a"}
    assert decode(b'{"Name":"a","NAME":null}', NETWORK_CREATE) == {"Name": "a"}
    assert decode(b'{"Name":null,"IPAM":null,"Labels":{"a":null}}', NETWORK_CREATE) == {"Labels": {"a": ""}}
    assert decode(b"null", NETWORK_CREATE) == {}
    assert decode(b'{"Cmd":"sleep"}', CONTAINER_CREATE) == {"Cmd": ["sleep"]}


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"Name":"a","Name":"b"}', "Name"),
        (b'{"Name":"a","NAME":"b"}', "Name"),
        (b'{"Name":"a","Labels":{"x":"1","y":"2","x":"1"}}', "x"),
        (b'{"Name":"a","Unknown":{"x":1,"x":2}}', "x"),
        (b'{"Big":1e999,"Name":"a","Name":"b"}', "Name"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(body: bytes, key: str) -> None:
    with pytest.raises(InvalidArgument, match=f'^invalid JSON: the key "{key}" is there twice: say it once$'):
        decode(body, NETWORK_CREATE)


@pytest.mark.parametrize(
    "body",
    [
        b'{"Name":"\\u0000"}',
        b'{"Name":"\\\\\\u0000"}',
        b'{"Name":"\\ud800"}',
        b'{"Name":"\xff"}',
        b"[" * 3000 + b"]" * 3000,
    ],
)
def test_what_go_lets_pass_and_we_do_not(body: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"^invalid JSON: "):
        decode(body, NETWORK_CREATE)


def test_text_that_only_looks_like_a_nul_passes() -> None:
    assert decode(rb'{"Name":"a\\u0000"}', NETWORK_CREATE) == {"Name": "a\\u0000"}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"),
        ("", "malformed Content-Type header (): mime: no media type"),
        (None, "malformed Content-Type header (): mime: no media type"),
        (";;;", "malformed Content-Type header (;;;): mime: no media type"),
    ],
)
def test_content_type(value: str | None, sentence: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_content_type(value)
    assert str(caught.value) == sentence


def test_content_type_with_parameters_is_json() -> None:
    check_content_type("Application/JSON; charset=utf-8")


KEYS = st.sampled_from(["Name", "name", "IPAM", "Config", "Labels", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=150, deadline=None)
@given(values, st.integers(min_value=0, max_value=40), st.binary(max_size=3))
def test_any_json_decodes_or_is_refused_in_words(value: object, cut: int, noise: bytes) -> None:
    text = json.dumps(value).encode()
    said = []
    for body in (text, text[: max(1, len(text) - cut)], text[:cut] + noise + text[cut:]):
        try:
            decode(body, NETWORK_CREATE)
        except InvalidArgument as refusal:
            said.append(str(refusal))
    assert all(said)


@settings(max_examples=150, deadline=None)
@given(values)
def test_the_scanner_agrees_with_the_decoder(value: object) -> None:
    """Whatever json writes, the scanner finds nothing wrong with, and ends where it ends."""
    text = json.dumps(value, indent=1)
    assert first_value_end(text + "  ") == len(text)
