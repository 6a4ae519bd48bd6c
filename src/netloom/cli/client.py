"""A client of the Engine API, over a unix socket or over TCP with mutual TLS."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from netloom.cli.connection import Connection, PlainConnection
from netloom.cli.errors import CliError, DaemonError, NoDaemon
from netloom.cli.http1 import BrokenAnswer, Exchange

API = "/v1.51"
_PORT = "2376"  # Docker's with TLS


def segment(reference: str) -> str:
    """A name as one part of a path."""
    return quote(reference, safe="")


class Client:
    """The daemon at one address; a connection is made for each request. Refusals raise DaemonError."""

    def __init__(self, host: str) -> None:
        self.host = host

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """What a GET answers, decoded."""
        return self.request("GET", path, query)

    def post(self, path: str, body: Any = None, query: Mapping[str, Any] | None = None) -> Any:
        """What a POST answers, decoded."""
        return self.request("POST", path, query, body)

    def delete(self, path: str, query: Mapping[str, Any] | None = None) -> None:
        """DELETE something."""
        self.request("DELETE", path, query)

    def request(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """One request; the decoded answer, None for an empty one."""
        return self.begin(method, path, query, body).result()

    def stream(self, path: str, query: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """The pieces of an answer that goes on, as they come."""
        return self.begin("GET", path, query).pieces()

    def begin(self, method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Answer:
        """Send a request and read the head of its answer; the rest may come much later."""
        return Answer(self._exchange(method, path, query, body, {}))

    def hijack(
        self, path: str, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> tuple[Connection, bytes, bool]:
        """A POST that turns the connection into a stream.

        The connection, what has come of the stream already, and whether it is framed (no terminal).
        """
        exchange = self._exchange("POST", path, query, body, {"Connection": "Upgrade", "Upgrade": "tcp"})
        framed = exchange.headers.get("content-type", "") == "application/vnd.docker.multiplexed-stream"
        return *exchange.surrender(), framed

    def _exchange(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Any, headers: dict[str, str]
    ) -> Exchange:
        data = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            headers["Content-Type"] = "application/json"
        headers = {"Host": "netloom", "User-Agent": "netloom", **headers}
        if "Connection" not in headers:
            headers["Connection"] = "close"
        exchange = Exchange(self._connect())
        try:
            exchange.send(method, API + path + (f"?{urlencode(query)}" if query else ""), headers, data)
            if exchange.status >= 400:
                raise DaemonError(_message(exchange), exchange.status)
        except (OSError, BrokenAnswer) as error:
            exchange.close()
            raise CliError(f"error during connect: {self.host}: {error}") from error
        except BaseException:
            exchange.close()
            raise
        return exchange

    def _connect(self) -> Connection:
        scheme, separator, address = self.host.partition("://")
        try:
            if scheme == "unix" and separator:
                connection = socket.socket(socket.AF_UNIX)
                try:
                    connection.connect(address)
                except BaseException:
                    connection.close()
                    raise
                return PlainConnection(connection)
            if scheme == "tcp" and separator:
                return self._connect_tls(address)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NoDaemon(self.host) from None
        except OSError as error:
            raise NoDaemon(self.host, error.strerror or str(error)) from None
        raise CliError(f"unable to parse docker host `{self.host}`: unix://PATH and tcp://HOST:PORT are known")

    def _connect_tls(self, address: str) -> Connection:
        from netloom.cli import tls  # noqa: PLC0415 — 20 ms that a unix socket does not need

        name, _, port = address.rpartition(":") if ":" in address.rpartition("]")[2] else (address, "", _PORT)
        name = name.strip("[]")
        settings = tls.context(self.host)
        if not port.isdecimal():
            raise CliError(f"unable to parse docker host `{self.host}`: {port} is no port")
        plain = socket.create_connection((name, int(port)))
        try:
            return tls.TlsConnection(plain, settings, name)
        except BaseException:
            plain.close()
            raise


class Answer:
    """The answer to one request, perhaps not complete yet."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def result(self) -> Any:
        """All of it, decoded; None when it is empty."""
        data = b"".join(self.pieces())
        try:
            return json.loads(data) if data.strip() else None
        except ValueError:
            raise CliError("the daemon's answer is not JSON") from None

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes."""
        try:
            yield from self._exchange.pieces()
        except (OSError, BrokenAnswer) as error:
            raise CliError(f"the daemon's answer broke off: {error}") from error
        finally:
            self._exchange.close()


def _message(exchange: Exchange) -> str:
    data = exchange.body()
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace").strip() or f"status {exchange.status}"
