"""One suite for every store."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netloom.engine.ports import Rows
from netloom.store.memory import MemoryStore
from netloom.store.sqlite import SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rows]:
    made = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path)
    yield made
    made.close()


def test_put_replace_delete(store: Rows) -> None:
    store.commit([("network", "b", b"1"), ("network", "a", b"2"), ("endpoint", "a", b"3")], durable=True)
    assert store.load("network") == {"a": b"2", "b": b"1"}
    assert list(store.load("network")) == ["a", "b"]
    store.commit([("network", "a", b"new"), ("network", "b", None)], durable=False)
    assert store.load("network") == {"a": b"new"}
    assert store.load("endpoint") == {"a": b"3"}


def test_deleting_what_is_not_there_is_success(store: Rows) -> None:
    store.commit([("network", "a", None)], durable=True)
    assert store.load("network") == {}


def test_changes_of_one_key_apply_in_order(store: Rows) -> None:
    store.commit([("t", "k", b"1"), ("t", "k", None), ("t", "k", b"2")], durable=True)
    assert store.load("t") == {"k": b"2"}


def test_what_was_loaded_is_the_callers(store: Rows) -> None:
    store.commit([("t", "k", b"1")], durable=True)
    store.load("t").clear()
    assert store.load("t") == {"k": b"1"}


def test_bodies_are_bytes_and_keys_any_text(store: Rows) -> None:
    body = bytes(range(256))
    store.commit([("t", "Ünï/:' \"", body), ("t", "", b"")], durable=True)
    assert store.load("t") == {"": b"", "Ünï/:' \"": body}


def test_an_empty_commit_changes_nothing(store: Rows) -> None:
    store.commit([], durable=True)
    assert store.load("t") == {}


Change: TypeAlias = tuple[str, str, bytes | None]
CHANGES = st.tuples(st.sampled_from("xy"), st.sampled_from("abc"), st.none() | st.binary(max_size=4))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(batches=st.lists(st.tuples(st.lists(CHANGES, max_size=5), st.booleans()), max_size=6))
def test_any_sequence_of_commits_equals_a_dict(store: Rows, batches: list[tuple[list[Change], bool]]) -> None:
    store.commit([(table, key, None) for table in "xy" for key in "abc"], durable=False)
    model: dict[str, dict[str, bytes]] = {"x": {}, "y": {}}
    for changes, durable in batches:
        store.commit(changes, durable=durable)
        for table, key, body in changes:
            if body is None:
                model[table].pop(key, None)
            else:
                model[table][key] = body
    assert {table: store.load(table) for table in "xy"} == model
