"""Layered drawing of an acyclic graph (after Sugiyama, Tagawa and Toda, 1981): rows, order in them, places.

Vertices are numbers. Every step takes time about linear in vertices and edges; nothing depends on chance or hashing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

Link = tuple[int, int]
_ORDER_SWEEPS = 24  # more did not lower the crossings of graphs of 30 to 300 vertices any further
_PLACE_SWEEPS = 24
_STRAIGHT_SWEEPS = 3  # each gives lines room that others left
_SNAP = 24.0  # pixels that look like a mistake rather than a bend
_FAR = 1e12


def rows_of(count: int, links: Sequence[Link]) -> list[int]:
    """The row of each vertex: below everything that leads to it, and near to what it leads to.

    Args:
        count: The vertices are ``0 … count - 1``.
        links: From the upper to the lower vertex.

    Raises:
        ValueError: The links make a cycle.
    """
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for upper, lower in links:
        above[lower].append(upper)
        below[upper].append(lower)
    waiting = [len(one) for one in above]
    order = [vertex for vertex in range(count) if not waiting[vertex]]
    rows = [0] * count
    for vertex in order:  # grows while it is read
        for lower in below[vertex]:
            rows[lower] = max(rows[lower], rows[vertex] + 1)
            waiting[lower] -= 1
            if not waiting[lower]:
                order.append(lower)
    if len(order) != count:
        raise ValueError("what is drawn in layers must not have a cycle")
    for vertex in reversed(order):  # fewer and shorter long lines: what has more below it than above it moves down
        if len(below[vertex]) > len(above[vertex]):
            rows[vertex] = min(rows[lower] for lower in below[vertex]) - 1
    return rows


def crossings(upper: Sequence[int], lower: Sequence[int], below: Sequence[Sequence[int]]) -> int:
    """How many links between two rows cross."""
    position = {vertex: number for number, vertex in enumerate(lower)}
    tree = [0] * (len(lower) + 1)  # a Fenwick tree counts the ends so far, by position
    found = seen = 0
    for vertex in upper:
        ends = [position[one] for one in below[vertex]]
        for end in ends:
            found += seen
            index = end + 1
            while index:
                found -= tree[index]
                index -= index & -index
        for end in ends:
            seen += 1
            index = end + 1
            while index <= len(lower):
                tree[index] += 1
                index += index & -index
    return found


def ordered(rows: Sequence[Sequence[int]], links: Sequence[Link]) -> list[list[int]]:
    """The rows with few crossings: barycenters, a fixed number of sweeps down and up, the best order is kept.

    Args:
        rows: Vertices by row.
        links: Each from a row to the next one.
    """
    count = sum(map(len, rows))
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for upper, lower in links:
        above[lower].append(upper)
        below[upper].append(lower)
    current = [list(row) for row in rows]
    place = [0.0] * count
    for row in current:
        _number(row, place)
    best, fewest = [list(row) for row in current], _all_crossings(current, below)
    for sweep in range(_ORDER_SWEEPS):
        if not fewest:
            break
        downward = sweep % 2 == 0
        neighbours = above if downward else below
        for row in current if downward else reversed(current):
            middle = {one: _mean([place[end] for end in neighbours[one]], place[one]) for one in row}
            if sweep % 4 >= 2:
                row.reverse()  # ties turn round now and then, which frees orders that are stuck
            row.sort(key=middle.__getitem__)
            _number(row, place)
        now = _all_crossings(current, below)
        if now < fewest:
            best, fewest = [list(row) for row in current], now
    return best


def _number(row: Sequence[int], place: list[float]) -> None:
    """Give the vertices of a row places between 0 and 1, so that rows of any length compare."""
    for number, vertex in enumerate(row):
        place[vertex] = (number + 0.5) / len(row)


def _all_crossings(rows: Sequence[Sequence[int]], below: Sequence[Sequence[int]]) -> int:
    return sum(crossings(upper, lower, below) for upper, lower in pairwise(rows))


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


class Pull:
    """A wish of two vertices to stand so that a link's ends are one above the other.

    ``offset`` is how far right of the upper vertex's place the lower one's should be.
    """

    __slots__ = ("lower", "offset", "upper", "weight")

    def __init__(self, upper: int, lower: int, offset: float, weight: float) -> None:
        self.upper, self.lower, self.offset, self.weight = upper, lower, offset, weight


def placed(rows: Sequence[Sequence[int]], pulls: Sequence[Pull], distance: Callable[[int, int], float]) -> list[float]:
    """The horizontal place of every vertex's middle: the order of each row is kept, and links are near to vertical.

    Args:
        rows: Vertices by row, from left to right.
        pulls: The links.
        distance: How far the middles of two neighbours must be apart at least.
    """
    count = sum(map(len, rows))
    near: list[list[tuple[int, float, float]]] = [[] for _ in range(count)]
    for pull in pulls:
        near[pull.lower].append((pull.upper, pull.offset, pull.weight))
        near[pull.upper].append((pull.lower, -pull.offset, pull.weight))
    apart = [[0.0, *(distance(left, right) for left, right in pairwise(row))] for row in rows]
    places = [0.0] * count
    for row, gaps in zip(rows, apart, strict=True):
        at = -sum(gaps) / 2
        for vertex, gap in zip(row, gaps, strict=True):
            at += gap
            places[vertex] = at
    numbers = range(len(rows))
    for sweep in range(_PLACE_SWEEPS):
        for number in numbers if sweep % 2 == 0 else reversed(numbers):
            wishes, weights = [], []
            for vertex in rows[number]:
                ends = near[vertex]  # above and below: with one side at a time, long chains would drift aside
                weight = sum(end[2] for end in ends)
                wished = sum((places[end] + offset) * force for end, offset, force in ends)
                wishes.append(wished / weight if ends else places[vertex])
                weights.append(weight if ends else 0.01)
            for vertex, place in zip(rows[number], _nearest(wishes, weights, apart[number]), strict=True):
                places[vertex] = place
    return places


def _nearest(wishes: Sequence[float], weights: Sequence[float], apart: Sequence[float]) -> list[float]:
    """Places in order, at least so far apart, with the least weighted squared distance to the wishes.

    Pooling of adjacent violators (isotonic regression) after the distances are taken out: exact, and linear.
    """
    shifts, total = [], 0.0
    for gap in apart:
        total += gap
        shifts.append(total)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for wish, weight, shift in zip(wishes, weights, shifts, strict=True):
        mean, force, size = wish - shift, weight, 1
        while pools and pools[-1][0] > mean:
            before, strength, many = pools.pop()
            mean = (mean * force + before * strength) / (force + strength)
            force, size = force + strength, size + many
        pools.append((mean, force, size))
    flat = [mean for mean, _, size in pools for _ in range(size)]
    return [mean + shift for mean, shift in zip(flat, shifts, strict=True)]


def straightened(
    rows: Sequence[Sequence[int]],
    places: list[float],
    lines: Sequence[tuple[Sequence[int], Sequence[float]]],
    distance: Callable[[int, int], float],
) -> None:
    """Put the bends of long lines one above the other, as many in a row of them as there is room for.

    Args:
        rows: Vertices by row, from left to right.
        places: Where they stand; changed.
        lines: For each line its bends from top to bottom, one in each row, and the places where it begins and ends.
        distance: How far the middles of two neighbours must be apart at least.
    """
    left: dict[int, int] = {}
    right: dict[int, int] = {}
    for row in rows:
        for one, other in pairwise(row):
            right[one], left[other] = other, one

    def room(one: int) -> tuple[float, float]:
        low = places[left[one]] + distance(left[one], one) if one in left else -_FAR
        return low, places[right[one]] - distance(one, right[one]) if one in right else _FAR

    def align(part: Sequence[int], low: float, high: float, ends: Sequence[float]) -> None:
        middle = sum(places[one] for one in part) / len(part)
        best = min((end for end in ends if low <= end <= high), key=lambda end: abs(end - middle), default=middle)
        for one in part:
            places[one] = min(max(best, low), high)

    for _ in range(_STRAIGHT_SWEEPS):
        for bends, ends in lines:
            part: list[int] = []
            low, high = -_FAR, _FAR
            for one in bends:
                lowest, highest = room(one)
                if part and max(low, lowest) > min(high, highest):
                    align(part, low, high, ends)
                    part, low, high = [], -_FAR, _FAR
                part.append(one)
                low, high = max(low, lowest), min(high, highest)
            if part:
                align(part, low, high, ends)


def snapped(
    rows: Sequence[Sequence[int]], places: list[float], pulls: Sequence[Pull], distance: Callable[[int, int], float]
) -> None:
    """Take small steps aside out of lines: a vertex moves right below a neighbour that it is nearly below, or above."""
    near: list[list[tuple[int, float]]] = [[] for _ in places]
    for pull in pulls:
        near[pull.lower].append((pull.upper, pull.offset))
        near[pull.upper].append((pull.lower, -pull.offset))
    for row in rows:
        for number, one in enumerate(row):
            low = places[row[number - 1]] + distance(row[number - 1], one) if number else -_FAR
            high = places[row[number + 1]] - distance(one, row[number + 1]) if number + 1 < len(row) else _FAR
            wishes = [places[end] + offset for end, offset in near[one]]
            if any(abs(wish - places[one]) < 0.01 for wish in wishes):
                continue  # it is straight to one already
            fitting = [wish for wish in wishes if low <= wish <= high and abs(wish - places[one]) <= _SNAP]
            if fitting:
                places[one] = min(fitting, key=lambda wish: abs(wish - places[one]))
