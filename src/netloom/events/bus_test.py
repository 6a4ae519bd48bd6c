import asyncio
import time

from netloom.events.bus import Bus, Subscription
from netloom.model.event import Event


def publish(bus: Bus, action: str, now: int) -> Event:
    return bus.publish("network", action, "n1", {"name": "net"}, now)


async def actions(subscription: Subscription) -> list[str]:
    return [event.action async for event in subscription]


def test_time_rises_strictly_when_the_clock_stands_or_steps_back() -> None:
    bus = Bus()
    assert [publish(bus, "create", now).time_nano for now in (100, 100, 50, 101, 500)] == [100, 101, 102, 103, 500]


async def test_live_events_come_in_order_and_without_a_first_read() -> None:
    bus = Bus()
    publish(bus, "before", 1)
    subscription = bus.subscribe()
    publish(bus, "create", 2)
    publish(bus, "connect", 3)
    bus.close()
    assert await actions(subscription) == ["create", "connect"]
    assert bus.subscribers == 0


async def test_backlog_then_live() -> None:
    bus = Bus()
    for n in range(1, 5):
        publish(bus, f"e{n}", n * 10)
    subscription = bus.subscribe(since=20)
    publish(bus, "live", 100)
    bus.close()
    assert await actions(subscription) == ["e2", "e3", "e4", "live"]


async def test_backlog_keeps_the_latest_256() -> None:
    bus = Bus(now=lambda: 10_000)
    for n in range(1, 301):
        publish(bus, f"e{n}", n)
    got = await actions(bus.subscribe(until=1000))
    assert got == [f"e{n}" for n in range(45, 301)]


async def test_until_in_the_past_ends_after_the_backlog() -> None:
    bus = Bus(now=lambda: 1000)
    for n in (10, 20, 30):
        publish(bus, f"e{n}", n)
    assert await actions(bus.subscribe(since=10, until=20)) == ["e10", "e20"]
    assert bus.subscribers == 0


async def test_until_ends_a_silent_subscription() -> None:
    bus = Bus()
    subscription = bus.subscribe(until=time.time_ns() + 20_000_000)
    assert await asyncio.wait_for(actions(subscription), 30) == []


async def test_filter_applies_to_backlog_and_live() -> None:
    bus = Bus()
    publish(bus, "create", 1)
    publish(bus, "connect", 2)
    subscription = bus.subscribe(since=1, keep=lambda event: event.action == "connect")
    publish(bus, "destroy", 3)
    publish(bus, "connect", 4)
    bus.close()
    assert await actions(subscription) == ["connect", "connect"]


async def test_slow_subscriber_ends_and_the_others_go_on() -> None:
    bus = Bus(buffer=3)
    slow, quick = bus.subscribe(), bus.subscribe()
    got = []
    for n in range(1, 6):
        publish(bus, f"e{n}", n)
        got.append((await anext(quick)).action)
    assert got == ["e1", "e2", "e3", "e4", "e5"]
    assert slow.overrun
    assert not quick.overrun
    assert await actions(slow) == ["e1", "e2", "e3"]
    assert bus.subscribers == 1


async def test_closing_while_a_reader_waits_ends_it() -> None:
    bus = Bus()
    subscription = bus.subscribe()
    reader = asyncio.create_task(actions(subscription))
    await asyncio.sleep(0)
    await subscription.aclose()
    assert await asyncio.wait_for(reader, 30) == []
    assert bus.subscribers == 0


async def test_subscribing_to_a_closed_bus_gives_the_backlog_only() -> None:
    bus = Bus()
    publish(bus, "create", 5)
    bus.close()
    assert await actions(bus.subscribe(since=1)) == ["create"]
    assert await actions(bus.subscribe()) == []
    assert bus.subscribers == 0
