"""``six`` for scripts that expect it beside TensorFlow, which depended on it: its names, for Python 3.

TensorFlow 1 brought ``six`` with it, so its tutorials write ``from six.moves import xrange`` without a word.  The
names are those of https://six.readthedocs.io; an installed ``six`` goes on answering for itself.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import io
import operator
import sys
import types
from collections.abc import Callable
from collections.abc import Iterator as Iterates
from typing import Any, NoReturn

from corenn_tensorflow import missing

PY2, PY3, PY34 = False, True, True
string_types: tuple[type, ...] = (str,)
integer_types: tuple[type, ...] = (int,)
class_types: tuple[type, ...] = (type,)
text_type, binary_type = str, bytes
MAXSIZE = sys.maxsize
StringIO, BytesIO = io.StringIO, io.BytesIO
unichr = chr
next = advance_iterator = builtins.next
callable = builtins.callable
exec_, print_ = builtins.exec, builtins.print
wraps = functools.wraps
Iterator = object  # a base class whose __next__ Python 3 finds by itself
get_method_function, get_method_self = operator.attrgetter("__func__"), operator.attrgetter("__self__")
get_function_closure, get_function_code = operator.attrgetter("__closure__"), operator.attrgetter("__code__")
get_function_defaults, get_function_globals = operator.attrgetter("__defaults__"), operator.attrgetter("__globals__")
create_bound_method = types.MethodType
byte2int, indexbytes, iterbytes = operator.itemgetter(0), operator.getitem, iter


def iterkeys(d: Any, **options: Any) -> Iterates[Any]:
    """An iterator over the keys."""
    return iter(d.keys(**options))


def itervalues(d: Any, **options: Any) -> Iterates[Any]:
    """An iterator over the values."""
    return iter(d.values(**options))


def iteritems(d: Any, **options: Any) -> Iterates[tuple[Any, Any]]:
    """An iterator over pairs of key and value."""
    return iter(d.items(**options))


def iterlists(d: Any, **options: Any) -> Iterates[Any]:
    """An iterator over the lists of a dictionary that has several values for a key."""
    return iter(d.lists(**options))


viewkeys, viewvalues, viewitems = dict.keys, dict.values, dict.items


def create_unbound_method(func: Any, cls: type) -> Any:
    """The function itself: Python 3 has no unbound methods."""
    return func


def get_unbound_function(unbound: Any) -> Any:
    """The function itself."""
    return unbound


def b(s: str) -> bytes:
    """A literal of bytes."""
    return s.encode("latin-1")


def u(s: str) -> str:
    """A literal of text."""
    return s


def int2byte(i: int) -> bytes:
    """One byte."""
    return bytes((i,))


def reraise(tp: type[BaseException], value: BaseException | None = None, tb: Any = None) -> NoReturn:
    """Raise an exception that was caught, with its traceback."""
    raised = tp() if value is None else value
    raise raised if raised.__traceback__ is tb else raised.with_traceback(tb)


def raise_from(value: BaseException, from_value: BaseException | None) -> NoReturn:
    """``raise value from from_value``."""
    raise value from from_value


def with_metaclass(meta: type, *bases: type) -> type:
    """A base class that gives its subclasses the metaclass ``meta``."""
    return meta("with_metaclass", bases or (object,), {})


def add_metaclass(metaclass: type) -> Callable[[type], type]:
    """A decorator that makes the class anew with a metaclass."""

    def remade(cls: type) -> type:
        kept = {n: v for n, v in cls.__dict__.items() if n not in ("__dict__", "__weakref__")}
        slots = kept.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            kept.pop(slot, None)  # the descriptor of a slot; the class gets its own
        found: type = metaclass(cls.__name__, cls.__bases__, kept)
        return found

    return remade


def python_2_unicode_compatible(cls: type) -> type:
    """The class: ``__str__`` gives text in Python 3."""
    return cls


def ensure_binary(s: Any, encoding: str = "utf-8", errors: str = "strict") -> bytes:
    """Bytes: text is encoded."""
    if isinstance(s, bytes):
        return s
    if isinstance(s, str):
        return s.encode(encoding, errors)
    raise TypeError(f"not expecting type '{type(s)}'")


def ensure_text(s: Any, encoding: str = "utf-8", errors: str = "strict") -> str:
    """Text: bytes are decoded."""
    if isinstance(s, str):
        return s
    if isinstance(s, bytes):
        return s.decode(encoding, errors)
    raise TypeError(f"not expecting type '{type(s)}'")


ensure_str = ensure_text

#: Names of ``six.moves`` and where Python 3 has them: a module, or a name in one.
_MOVED = {
    **{name: f"builtins:{name}" for name in ("filter", "input", "map", "range", "zip")},
    "intern": "sys:intern", "reduce": "functools:reduce", "reload_module": "importlib:reload",
    "shlex_quote": "shlex:quote",
    "xrange": "builtins:range", "cStringIO": "io:StringIO", "StringIO": "io:StringIO", "getcwd": "os:getcwd",
    "getcwdb": "os:getcwdb", "getoutput": "subprocess:getoutput", "filterfalse": "itertools:filterfalse",
    "zip_longest": "itertools:zip_longest", "UserDict": "collections:UserDict", "UserList": "collections:UserList",
    "UserString": "collections:UserString", "builtins": "builtins", "configparser": "configparser",
    "copyreg": "copyreg",
    "cPickle": "pickle", "_thread": "_thread", "_dummy_thread": "_thread", "html_entities": "html.entities",
    "html_parser": "html.parser", "http_client": "http.client", "http_cookies": "http.cookies",
    "http_cookiejar": "http.cookiejar", "BaseHTTPServer": "http.server", "CGIHTTPServer": "http.server",
    "SimpleHTTPServer": "http.server", "queue": "queue", "reprlib": "reprlib", "socketserver": "socketserver",
    "tkinter": "tkinter", "urllib": "urllib", "urllib_parse": "urllib.parse", "urllib_error": "urllib.error",
    "urllib_request": "urllib.request", "urllib_robotparser": "urllib.robotparser", "xmlrpc_client": "xmlrpc.client",
    "xmlrpc_server": "xmlrpc.server",
}  # fmt: skip


class _Moves(types.ModuleType):
    """``six.moves``: what was renamed or moved on the way to Python 3, imported when asked for."""

    def __getattr__(self, name: str) -> Any:
        place = _MOVED.get(name)
        if place is None:
            raise AttributeError(f"module 'six.moves' has no attribute {name!r}")
        module_name, _, inside = place.partition(":")
        found = importlib.import_module(module_name)
        if name == "urllib":  # a package whose modules six has loaded
            for part in ("parse", "error", "request", "response", "robotparser"):
                importlib.import_module(f"urllib.{part}")
        return getattr(found, inside) if inside else found

    def __dir__(self) -> list[str]:
        return sorted(_MOVED)


moves = _Moves(f"{__name__}.moves", "What was renamed or moved on the way to Python 3.")

__getattr__ = missing.guard(__name__)
