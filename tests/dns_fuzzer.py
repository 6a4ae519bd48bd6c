"""The coverage-guided fuzzer of the DNS code: a program of its own, since libFuzzer ends the process it runs in.

    python tests/dns_fuzzer.py FOLDER -max_total_time=600

FOLDER is filled with the kept corpus first, and grows. The first byte of an input says what the others are: a query
from a container, an answer from a server outside, or a packet from the lo of a sandbox.
"""

from __future__ import annotations

import sys
from pathlib import Path

CORPUS = Path(__file__).with_name("dns_corpus.txt")  # an input a line, in hexadecimal


def target() -> object:
    """The function that libFuzzer calls."""
    from netloom.dns.responder import Responder  # noqa: PLC0415 - imported under instrumentation
    from netloom.dns.zone import Zones  # noqa: PLC0415
    from netloom.model.names import NameEntry  # noqa: PLC0415
    from netloom.testing.dns_checks import check_answer_survives, check_survives  # noqa: PLC0415

    zones = Zones()
    zones.put(NameEntry("n1", "u1", "e1", "s", ("web", "shared", "*.wild"), "web.u1", "172.18.0.2", "fd94::2"))
    zones.put(NameEntry("n1", "u1", "e2", "s", ("db", "shared"), "db.u1", "172.18.0.3"))
    responder = Responder(zones, ("n1",), (("link", "e1"),), (("n1", "x A 192.0.2.1; *.y TXT t; s SRV 0 0 1 web"),))

    def one(data: bytes) -> None:
        if data[:1] == b"a":
            check_answer_survives(data[1:])
        elif data[:1] == b"p":
            check_packet_survives(data[1:])
        else:
            check_survives(responder, data[1:])

    return one


def check_packet_survives(packet: bytes) -> None:
    """What is found in it lies within, and can be carried on."""
    from netloom.dataplane import packets  # noqa: PLC0415 - imported under instrumentation

    query, segment = packets.datagram(packet), packets.segment(packet)
    assert query is None or len(query[1]) <= len(packet) - packets.HEAD
    if segment is not None:
        client, content = segment
        packets.opens(content)
        assert len(packets.carrying(content, client, packets.RESOLVER)) <= len(packet)


def inputs() -> list[bytes]:
    """What to begin with: the kept corpus, and every well-formed shape."""
    from netloom.testing.dns_checks import answers, queries  # noqa: PLC0415

    kept = [bytes.fromhex(line) for line in CORPUS.read_text().split()] if CORPUS.exists() else []
    shapes = [(b"q", queries()), (b"a", answers()), (b"p", packets_of(queries()))]
    return [*kept, *(kind + data for kind, found in shapes for data in found)]


def packets_of(queries: list[bytes]) -> list[bytes]:
    """Each as a UDP and as a TCP packet, without options of IP."""
    start = bytes.fromhex("4500 0000 0000 4000 40 11 0000 7f000001 7f00000b 9c40 0035")
    found = []
    for query in queries:
        udp = start + (8 + len(query)).to_bytes(2) + bytes(2) + query
        tcp = start[:9] + b"\6" + start[10:] + bytes(8) + b"\x50\2" + bytes(6) + query
        found += [packet[:2] + len(packet).to_bytes(2) + packet[4:] for packet in (udp, tcp)]
    return found


def main() -> None:
    """Fuzz until told to end, or until something fails: then the process ends with 77 and names the input."""
    import atheris  # noqa: PLC0415 - not on every platform

    folder = Path(sys.argv[1])
    with atheris.instrument_imports(include=["netloom.dns", "netloom.dataplane.packets"]):
        one = target()
    for number, data in enumerate(inputs()):
        (folder / f"seed{number}").write_bytes(data)
    options = ["-max_len=700", "-timeout=5", "-rss_limit_mb=1024", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], *options, *sys.argv[2:], str(folder)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
