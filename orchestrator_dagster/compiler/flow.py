"""The order of steps: levels from edges, and cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def levels(edges: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Groups of steps that can run at once, in order (Kahn's algorithm); steps on a cycle, and after one, are left out.

    Args:
        edges: For each step the steps it waits for. Linear in steps and edges.

    >>> levels({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
    (('a',), ('b', 'c'), ('d',))
    """
    waiting = {step: len(set(before)) for step, before in edges.items()}
    after: dict[str, list[str]] = {step: [] for step in edges}
    for step, before in edges.items():
        for one in set(before):
            after[one].append(step)
    place = {step: number for number, step in enumerate(edges)}
    found: list[tuple[str, ...]] = []
    ready = [step for step, count in waiting.items() if count == 0]
    while ready:
        found.append(tuple(sorted(ready, key=place.__getitem__)))
        following: list[str] = []
        for step in ready:
            for one in after[step]:
                waiting[one] -= 1
                if waiting[one] == 0:
                    following.append(one)
        ready = following
    return tuple(found)


def find_cycle(edges: Mapping[str, Sequence[str]], stuck: Sequence[str]) -> list[str]:
    """One cycle among the steps that cannot be ordered, as a path whose last step is the first again.

    >>> find_cycle({"a": ["b"], "b": ["a"]}, ["a", "b"])
    ['a', 'b', 'a']
    """
    remaining = set(stuck)
    path, seen = [stuck[0]], {stuck[0]: 0}
    while True:
        step = next(before for before in edges[path[-1]] if before in remaining)
        if step in seen:
            return [*path[seen[step] :], step]
        seen[step] = len(path)
        path.append(step)


def after(edges: Mapping[str, Sequence[str]], step: str) -> set[str]:
    """Every step that waits for a step, on any path.

    Args:
        edges: For each step the steps it waits for.
        step: The step.

    >>> sorted(after({"a": [], "b": ["a"], "c": ["b"]}, "a"))
    ['b', 'c']
    """
    following: dict[str, list[str]] = {one: [] for one in edges}
    for one, before in edges.items():
        for other in before:
            following[other].append(one)
    found: set[str] = set()
    queue = [step]
    while queue:
        for one in following[queue.pop()]:
            if one not in found:
                found.add(one)
                queue.append(one)
    return found


def circles(edges: Mapping[str, Sequence[str]]) -> list[set[str]]:
    """The largest groups of steps that all wait for each other, on any path (Tarjan's algorithm); linear.

    Args:
        edges: For each step the steps it waits for.

    >>> [sorted(one) for one in circles({"a": ["b"], "b": ["a"], "c": ["a"], "d": []})]
    [['a', 'b']]
    """
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: dict[str, None] = {}
    found: list[set[str]] = []
    for start in edges:
        if start in number:
            continue
        number[start] = lowest[start] = len(number)
        open_[start] = None
        path = [(start, iter(edges[start]))]
        while path:
            step, left = path[-1]
            for one in left:
                if one not in number:
                    number[one] = lowest[one] = len(number)
                    open_[one] = None
                    path.append((one, iter(edges[one])))
                    break
                if one in open_:
                    lowest[step] = min(lowest[step], number[one])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[step])
                if lowest[step] == number[step]:
                    group = set()
                    while step not in group:
                        group.add(open_.popitem()[0])
                    if len(group) > 1:
                        found.append(group)
    return found
