"""The session that Keras and the program share in generation 1."""

from __future__ import annotations

from typing import Any

from corenn.graph.session import get_default_session
from corenn_tensorflow import mode


class _Held:
    session: Any = None


_held = _Held()


def get_session(op_input_list: Any = ()) -> Any:
    """The session of the innermost ``with``, the one set, or a new one; its uninitialised variables are initialised."""
    session = get_default_session()
    if session is None:
        session = _held.session
        if session is None or session._closed or session.graph is not mode.default_graph():
            from corenn_tensorflow.session import Session

            session = _held.session = Session(graph=mode.default_graph())
    _initialise(session)
    return session


def _initialise(session: Any) -> None:
    listed = session.graph.get_collection("variables") + session.graph.get_collection("local_variables")
    waiting = {id(v): v for v in listed if not session.initialized(v)}
    if waiting:
        session.run([v.initializer for v in waiting.values()])


def set_session(session: Any) -> None:
    """Use this session."""
    _held.session = session


def forget() -> None:
    """Drop the session: ``K.clear_session``."""
    _held.session = None


__all__ = ["forget", "get_session", "set_session"]
