"""Who holds which number, and in which order numbers were let go: some twenty bytes for each, whatever their range."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

PAGE = 64  # numbers in a page; a lone one costs a page of its own
_SHIFT, _MASK = 6, PAGE - 1
_NONE = 0xFFFFFFFF  # no slot


class _Page:
    """The slots of `PAGE` neighbouring numbers. `before` and `after` chain the freed ones by slot."""

    __slots__ = ("after", "before", "holders", "number", "used")

    def __init__(self, number: int) -> None:
        self.number = number
        self.used = 0  # slots that are held or freed
        self.holders: list[str | None] = [None] * PAGE
        self.before = array("I", [_NONE]) * PAGE
        self.after = array("I", [_NONE]) * PAGE


class _Freed(str):
    __slots__ = ()


_FREED = _Freed("freed")


class Slots:
    """A number is unused, held by somebody, or freed. Every operation takes constant time on average.

    Pages are made when a number of theirs is first held and go when none is held or freed any more.
    """

    def __init__(self) -> None:
        self.held = 0
        self.freed = 0
        self._pages: list[_Page | None] = []
        self._spare: list[int] = []  # places in `_pages` that are empty
        self._places: dict[int, int] = {}  # page number → place; a slot is its place and the number's low bits
        self._oldest = self._newest = _NONE

    def holder(self, number: int) -> str | None:
        """Who holds it; None when it is unused or freed."""
        found = self._state(number)
        return None if found is _FREED else found

    def holders(self) -> Iterator[tuple[int, str]]:
        """Every number that is held, ascending, and who holds it."""
        for number in sorted(self._places):
            for low, holder in enumerate(self._at(self._places[number] << _SHIFT).holders):
                if holder is not None and holder is not _FREED:
                    yield (number << _SHIFT) + low, holder

    def is_unused(self, number: int) -> bool:
        """Neither held nor freed."""
        return self._state(number) is None

    def is_freed(self, number: int) -> bool:
        """Held once, and let go."""
        return self._state(number) is _FREED

    def hold(self, number: int, owner: str) -> None:
        """A number that nobody holds is the owner's."""
        page, slot = self._page(number)
        at = slot & _MASK
        if page.holders[at] is _FREED:
            self._unchain(page, slot)
        else:
            page.used += 1
        page.holders[at] = owner
        self.held += 1

    def free(self, number: int, *, as_oldest: bool = False) -> None:
        """A held number counts as freed just now, or before all others."""
        page, slot = self._page(number)
        page.holders[slot & _MASK] = _FREED
        self.held -= 1
        self.freed += 1
        if self._oldest == _NONE:
            self._oldest = self._newest = slot
        elif as_oldest:
            self._link(slot, self._oldest)
            self._oldest = slot
        else:
            self._link(self._newest, slot)
            self._newest = slot

    def forget(self, number: int) -> None:
        """A held number is as unused as if nobody had ever held it."""
        page, slot = self._page(number)
        page.holders[slot & _MASK] = None
        self.held -= 1
        page.used -= 1
        if not page.used:
            place = self._places.pop(page.number)
            self._pages[place] = None
            self._spare.append(place)

    def oldest(self) -> int | None:
        """The number freed longest ago."""
        if self._oldest == _NONE:
            return None
        return (self._at(self._oldest).number << _SHIFT) + (self._oldest & _MASK)

    def _state(self, number: int) -> str | None:
        place = self._places.get(number >> _SHIFT)
        return None if place is None else self._at(place << _SHIFT).holders[number & _MASK]

    def _at(self, slot: int) -> _Page:
        page = self._pages[slot >> _SHIFT]
        assert page is not None
        return page

    def _page(self, number: int) -> tuple[_Page, int]:
        """The page of a number, made where there is none, and the number's slot."""
        key = number >> _SHIFT
        place = self._places.get(key)
        if place is None:
            page = _Page(key)
            if self._spare:
                place = self._spare.pop()
                self._pages[place] = page
            else:
                place = len(self._pages)
                self._pages.append(page)
            self._places[key] = place
        return self._at(place << _SHIFT), (place << _SHIFT) + (number & _MASK)

    def _link(self, first: int, second: int) -> None:
        self._at(first).after[first & _MASK] = second
        self._at(second).before[second & _MASK] = first

    def _unchain(self, page: _Page, slot: int) -> None:
        before, after = page.before[slot & _MASK], page.after[slot & _MASK]
        page.before[slot & _MASK] = page.after[slot & _MASK] = _NONE
        if before == _NONE:
            self._oldest = after
        else:
            self._at(before).after[before & _MASK] = after
        if after == _NONE:
            self._newest = before
        else:
            self._at(after).before[after & _MASK] = before
        self.freed -= 1
