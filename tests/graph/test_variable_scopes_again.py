"""Entering a variable scope again: names that are made automatically begin anew, so that they reach what is there."""

from __future__ import annotations

from corenn.graph import Graph, get_variable, variable_scope


def test_automatic_scopes_repeat_when_the_scope_around_them_is_entered_again() -> None:
    def inner() -> list[str]:
        names = []
        for _ in range(2):
            with variable_scope(None, default_name="layer"):
                names.append(get_variable("w", (2,)).name)
        return names

    with Graph().as_default():
        with variable_scope("net"):
            first = inner()
        with variable_scope("net", reuse=True):
            again = inner()
        assert first == again == ["net/layer/w:0", "net/layer_1/w:0"]
        with variable_scope(None, default_name="net") as other:
            assert other.name == "net_1"
