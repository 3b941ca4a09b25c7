"""A picture that could not be drawn cannot be made."""

from __future__ import annotations

import pytest

from orchestrator_dagster.drawing.picture import Edge, Group, Node, Picture

A, B, C = (Node(name, name.upper(), "tool") for name in "abc")


@pytest.mark.parametrize(
    ("edges", "groups", "message"),
    [
        ([], [Group("a", "", ("b",))], "different ids"),
        ([Edge("a", "x")], [], 'from "a" to "x"'),
        ([Edge("a", "a")], [], 'from "a" to "a"'),
        ([], [Group("g", "", ("x",))], "each in one group"),
        ([], [Group("g", "", ("a",)), Group("h", "", ("a",))], "each in one group"),
        ([], [Group("g", "", ("a",), "x")], "is a group"),
        ([], [Group("g", "", ())], "without anything"),
        ([], [Group("g", "", ("a",), "h"), Group("h", "", ("b",), "g")], "lies in itself"),
        ([Edge("g", "a")], [Group("g", "", ("a",))], "lie in each other"),
    ],
)
def test_what_cannot_be_drawn_is_refused(edges: list[Edge], groups: list[Group], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Picture("", (A, B, C), tuple(edges), tuple(groups))


def test_groups_around_a_node() -> None:
    groups = (Group("inner", "", ("a",), "outer"), Group("outer", "", ("b",)))
    picture = Picture("", (A, B, C), (), groups)
    assert picture.around("a") == ("inner", "outer")
    assert picture.around("inner") == ("outer",)
    assert picture.around("c") == ()
