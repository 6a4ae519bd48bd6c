from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from netloom.ipam.slots import PAGE, Slots

# of four pages, so that pages come and go; far apart, and larger than any machine word
NUMBERS = st.sampled_from(
    [0, 1, PAGE - 1, PAGE, 2 * PAGE - 1, 0xFFFFFFFF, 1 << 32, (0xFD << 120) + 5, (0xFD << 120) + 6]
)


class AgainstAList(RuleBasedStateMachine):
    """What is held, and what was freed in which order, against a dictionary and a list."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = Slots()
        self.held: dict[int, str] = {}
        self.freed: list[int] = []

    @rule(number=NUMBERS, owner=st.sampled_from(["a", "b"]))
    def hold(self, number: int, owner: str) -> None:
        if number not in self.held:
            self.slots.hold(number, owner)
            self.held[number] = owner
            if number in self.freed:
                self.freed.remove(number)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), as_oldest=st.booleans())
    def free(self, data: st.DataObject, as_oldest: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        self.slots.free(number, as_oldest=as_oldest)
        del self.held[number]
        self.freed.insert(0 if as_oldest else len(self.freed), number)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.held)))
        self.slots.forget(number)
        del self.held[number]

    @precondition(lambda self: self.freed)
    @rule()
    def take_the_oldest(self) -> None:
        number = self.slots.oldest()
        assert number == self.freed.pop(0)
        self.slots.hold(number, "again")
        self.held[number] = "again"

    @invariant()
    def agrees(self) -> None:
        assert self.slots.held == len(self.held)
        assert self.slots.freed == len(self.freed)
        assert list(self.slots.holders()) == sorted(self.held.items())
        assert self.slots.oldest() == (self.freed[0] if self.freed else None)
        for number in (0, 1, 2, PAGE - 1, PAGE, 2 * PAGE - 1, 0xFFFFFFFF, 1 << 32, (0xFD << 120) + 5):
            assert self.slots.holder(number) == self.held.get(number)
            assert self.slots.is_freed(number) == (number in self.freed)
            assert self.slots.is_unused(number) == (number not in self.held and number not in self.freed)
        assert len(self.slots._places) == len({n // PAGE for n in (*self.held, *self.freed)})


TestAgainstAList = AgainstAList.TestCase
