"""The kernel's counters as text."""

from netloom.model.usage import BlockCount, InterfaceCounters
from netloom.runtime.usage import block_counts, block_counts_v2, interfaces, machine_cpu

NET_DEV = """Inter-|   Receive                                          |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:  100       1    0    0    0     0          0         0   100       1    0    0    0     0       0          0
  eth0:  646       5    1    2    0     0          0         0    84       3    4    6    0     0       0          0
eth1:1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0
"""
BLKIO = "254:0 Read 454656\n254:0 Write 0\n254:0 Total 454656\n7:1 Read 5\nTotal 454661\n"
IO_STAT = "254:0 rbytes=4096 wbytes=8 rios=1 wios=1 dbytes=0 dios=0\n7:1\n"


def test_interfaces() -> None:
    assert interfaces(NET_DEV) == {
        "eth0": InterfaceCounters(646, 5, 1, 2, 84, 3, 4, 6),
        "eth1": InterfaceCounters(1, 2, 3, 4, 5, 6, 7, 8),
    }
    assert interfaces("") == {}


def test_the_machine() -> None:
    total, cpus = machine_cpu("cpu  1 2 3 4 5 6 7 800 9 0\ncpu0 1 2\ncpu1 1 2\nintr 5\n")
    assert (total, cpus) == (28 * 10_000_000, 2)
    assert machine_cpu("") == (0, 0)


def test_block_devices() -> None:
    assert list(block_counts(BLKIO)) == [
        BlockCount(254, 0, "Read", 454656),
        BlockCount(254, 0, "Write", 0),
        BlockCount(254, 0, "Total", 454656),
        BlockCount(7, 1, "Read", 5),
    ]
    assert list(block_counts_v2(IO_STAT)) == [BlockCount(254, 0, "read", 4096), BlockCount(254, 0, "write", 8)]
