import pytest

from netloom.images.login import log_in, registry_host
from netloom.images.skopeo import Credentials
from netloom.model.errors import Failed, InvalidArgument, Unsupported


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("", "docker.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry.example", "registry.example"),
        ("registry.example:5000", "registry.example:5000"),
        ("http://registry.example:5000/v2/", "registry.example:5000"),
        ("[::1]:5000", "[::1]:5000"),
    ],
)
def test_hosts(address: str, host: str) -> None:
    assert registry_host(address) == host


@pytest.mark.parametrize("address", ["no such/host", "--tls-verify=false", "ftp://a", "a:b", "https://me@a"])
def test_what_is_no_host(address: str) -> None:
    with pytest.raises(InvalidArgument, match="unable to parse server address"):
        registry_host(address)


@pytest.mark.parametrize("given", [Credentials(), Credentials(username="me"), Credentials(password="secret")])
async def test_nobody(given: Credentials) -> None:
    with pytest.raises(Failed, match="no basic auth credentials"):
        await log_in("registry.example", given)


async def test_a_token() -> None:
    with pytest.raises(Unsupported, match="token"):
        await log_in("registry.example", Credentials(identitytoken="t"))
