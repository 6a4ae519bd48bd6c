import msgspec
import pytest

from netloom.engine.waits import Waits
from netloom.model.container import Container, ContainerConfig, State
from netloom.model.errors import InvalidArgument
from netloom.model.host_config import HostConfig

BOX = Container(id="c", name="box", created=1, image_id="", config=ContainerConfig(), host_config=HostConfig())
RUNNING = msgspec.structs.replace(BOX, state=State(status="running"))


async def test_not_running_holds_at_once_for_a_stopped_container() -> None:
    stopped = msgspec.structs.replace(BOX, state=State(status="exited", exit_code=7))
    assert Waits().begin(stopped, "").result() == (7, "")


async def test_each_condition_has_its_own_moment() -> None:
    waits = Waits()
    ended, after, removed = (waits.begin(RUNNING, c) for c in ("not-running", "next-exit", "removed"))
    waits.exited("c", 3)
    assert ended.result() == after.result() == (3, "")
    assert not removed.done()
    waits.removed(BOX)
    assert removed.result() == (3, "")


async def test_next_exit_of_a_container_that_goes_without_running() -> None:
    waits = Waits()
    waiting = waits.begin(BOX, "next-exit")
    assert not waiting.done()
    waits.removed(BOX)
    assert waiting.result() == (0, "")


async def test_an_unknown_condition_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='invalid condition: "soon"'):
        Waits().begin(BOX, "soon")
