"""The name that is most like another one, found without comparing it with all of them where there are many.

How like two names are is difflib's ratio, which costs some 20 µs a pair. A file with thousands of unknown names and
thousands of known ones would need millions of pairs; so of many names only some are compared: those that stand beside
it when they are sorted, by their beginning and by their end, and those with the most pairs of letters in common.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection
from difflib import SequenceMatcher

CUTOFF = 0.6  # difflib's own; below it two names have nothing in common
COMPARED_ALL = 150  # up to so many names each is compared: no ordinary file has more of one kind
_NEIGHBOURS = 6  # on each side, in each of the two orders
_BY_PAIRS = 16  # names with the most pairs of letters in common
_MOST_LOOKED_UP = 2_400  # entries of the index that are counted for one name


class NearNames:
    """A set of names to find the nearest one in.

    Args:
        names: The names as they are compared, without duplicates.
    """

    def __init__(self, names: Collection[str]) -> None:
        self.sorted = sorted(names)
        self.names = frozenset(names)

    @functools.cached_property
    def _backwards(self) -> list[str]:
        return sorted(name[::-1] for name in self.sorted)

    @functools.cached_property
    def _holders(self) -> dict[str, list[str]]:
        """For each pair of letters the names that hold it."""
        found: dict[str, list[str]] = {}
        for name in self.sorted:
            for pair in _pairs(name):
                found.setdefault(pair, []).append(name)
        return found

    def nearest(self, name: str) -> str | None:
        """The name that is most like ``name``; of several the last by its letters, None when none is like it."""
        if name in self.names:
            return name
        return best_of(name, self.sorted if len(self.sorted) <= COMPARED_ALL else self.candidates(name))

    def candidates(self, name: str) -> list[str]:
        """The names of many that may be the nearest one, likely ones first: no more than 40."""
        shared: Counter[str] = Counter()
        left = _MOST_LOOKED_UP
        holders = self._holders
        for _, pair in sorted((len(holders.get(pair, ())), pair) for pair in _pairs(name)):  # rare pairs tell most
            some = holders.get(pair, ())[:left]
            shared.update(some)
            left -= len(some)
            if left <= 0:
                break
        # Of names that share as much, the shorter is more like it: "gpt-4o-mini" before what is longer by an ending.
        ranked = sorted(shared, key=lambda one: shared[one] / (len(name) + len(one)), reverse=True)
        found = ranked[:_BY_PAIRS]
        found += _around(self.sorted, name)
        found += [one[::-1] for one in _around(self._backwards, name[::-1])]
        return list(dict.fromkeys(found))


def _pairs(name: str) -> set[str]:
    return {name[at : at + 2] for at in range(len(name) - 1)}


def _around(names: list[str], name: str) -> list[str]:
    at = bisect_left(names, name)
    return names[max(at - _NEIGHBOURS, 0) : at + _NEIGHBOURS]


def best_of(name: str, candidates: list[str]) -> str | None:
    """What ``difflib.get_close_matches(name, candidates, n=1)`` gives first, with fewer full comparisons."""
    matcher: SequenceMatcher[str] = SequenceMatcher()
    matcher.set_seq2(name)
    best, found, length = CUTOFF, "", len(name)
    for candidate in candidates:
        if 2.0 * min(length, len(candidate)) < best * (length + len(candidate)):
            continue
        matcher.set_seq1(candidate)
        if matcher.quick_ratio() >= best and (best, found) < (ratio := matcher.ratio(), candidate):
            best, found = ratio, candidate
    return found or None
