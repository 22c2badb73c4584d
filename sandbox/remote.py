"""The candidate's side of the link: its functions, classes and objects, as the judge may use them.

All of it runs in the candidate's own process and may be rewritten by the program. Nothing depends
on its honesty: whatever it sends is data to the judge.

Loaded by the fork server; standard library only.
"""

import copy
import operator
import signal
import types
from collections.abc import Callable, Iterator
from typing import Any

from redline.sandbox.codec import MalformedValue
from redline.sandbox.containment import lift_memory_reserve
from redline.sandbox.endpoint import Endpoint
from redline.sandbox.errors import (
    MAX_TEXT,
    build_error,
    builtin_base,
    error_type,
    message_of,
    own_classes,
    program_line,
    safely,
)
from redline.sandbox.link import Link, LinkClosed, MessageKind
from redline.sandbox.link_codec import Reference
from redline.sandbox.standard import standard_module, standard_name, standard_object

_MAX_CLASSES = 8
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)


class Callback:
    """A function of the test: calling it asks the judge child."""

    def __init__(self, side: "CandidateSide", number: int) -> None:
        self._side = side
        self._number = number

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self._side.ask("call", self, *args, **kwargs)


class CallbackIterator(Callback):
    """An iterator or generator of the test."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return self._side.ask("next", self)


class _Token:
    """An exception that the test raised: given back, it is that very one."""

    def __init__(self, number: int) -> None:
        self._number = number


_FOREIGN = (Callback, CallbackIterator, _Token)


class CandidateSide(Endpoint):
    """Serves the judge child until it is gone."""

    def __init__(
        self, link: Link, result_bytes: int, names: dict[str, Any], cpu_seconds: float
    ) -> None:
        super().__init__(link, result_bytes)
        self._names = names
        self._cpu_seconds = cpu_seconds
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}

    def run(self) -> None:
        """Serve until the judge closes its end."""
        self.link.send(MessageKind.READY, 0, b"")
        try:
            while True:
                _, number, body = self.link.receive()
                self.serve(number, body)
        except LinkClosed:
            return

    def operate(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Perform one of the operations that a stub asks for."""
        if operation == "test":
            return self._start_test()
        if operation == "name":
            (name,) = args
            if name not in self._names:
                raise NameError(f"name {name!r} is not defined")
            return self._names[name]
        return OPERATIONS[operation](*args, **kwargs)

    def refer(self, value: object) -> Reference:
        """Export an object; what the judge has too goes by name."""
        kind = type(value)
        if kind in _FOREIGN:
            return ("yours", value._number)  # type: ignore[attr-defined]
        if kind is types.ModuleType:
            name = value.__name__  # type: ignore[attr-defined]
            if standard_module(name) is value:
                return ("module", name)
        if (standard := standard_name(value)) is not None:
            return ("standard", *standard)
        if isinstance(value, type):
            return ("class", self._ancestry(value), _base_name(value))
        number = self._export(value)
        if kind in _FUNCTIONS:
            return ("function", number, safely(lambda: value.__name__, "function"))  # type: ignore[attr-defined]
        if kind is types.GeneratorType:
            return ("generator", number)
        return ("object", number, self._ancestry(kind))

    def resolve(self, reference: object) -> Any:
        """The object of this process, or a stand-in for one of the judge's."""
        match reference:
            case ("yours", int(number)) if 0 <= number < len(self._objects):
                return self._objects[number]
            case ("function", int(number)):
                return Callback(self, number)
            case ("iterator", int(number)):
                return CallbackIterator(self, number)
            case ("error", int(number)):
                return _Token(number)
            case ("module", name) if (module := standard_module(name)) is not None:
                return module
            case ("standard", module, name):
                return standard_object(module, name)
        raise MalformedValue(f"unknown reference {reference!r}")

    def error_data(self, error: BaseException, *, brief: bool = False) -> Reference:
        """Type, ancestry, arguments, attributes, text and line of an exception."""
        kind = type(error)
        if isinstance(error, MemoryError):
            lift_memory_reserve()
        token = error.__dict__.get("_token")
        if type(token) is _Token:
            return ("returned", token)
        text = message_of(error)[:MAX_TEXT]
        state: tuple[Any, ...] = ((text,), ())
        if not brief:
            state = (error.args, tuple(error.__dict__.items())[:16])
        setup = next((each for each in type.mro(kind) if self.classes.reference(each)), None)
        own = own_classes(kind)
        if setup is not None:
            own = own[: own.index(setup)]
        ancestry = tuple(self._class(each) for each in own[:_MAX_CLASSES])
        base = builtin_base(kind).__name__ if setup is None else setup
        return ("raised", ancestry, base, *state, text, program_line(error))

    def error_from(self, data: Any, operation: str) -> BaseException:
        """The judge's exception, which says where it belongs."""
        kind, args, token = data
        found = kind if isinstance(kind, type) else error_type(kind)
        error = build_error(found or Exception, args)
        error.__dict__["_token"] = token
        return error

    def _start_test(self) -> None:
        self._objects.clear()
        self._numbers.clear()
        signal.setitimer(signal.ITIMER_PROF, self._cpu_seconds)

    def _export(self, value: object) -> int:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._objects)
            self._objects.append(value)
        return number

    def _ancestry(self, kind: type) -> Reference:
        if issubclass(kind, BaseException):
            own = own_classes(kind)
        else:
            own = [each for each in type.mro(kind) if each.__module__ == "program"]
        own = own or [kind]
        return tuple(self._class(each) for each in own[:_MAX_CLASSES])

    def _class(self, kind: type) -> Reference:
        name = safely(lambda: type.__dict__["__name__"].__get__(kind), "object")
        return (self._export(kind), name[:64])


def _base_name(kind: type) -> str | None:
    return builtin_base(kind).__name__ if issubclass(kind, BaseException) else None


def _binary(name: str, left: Any, right: Any) -> Any:
    return _BINARY[name](left, right)


def _unary(name: str, value: Any) -> Any:
    return _UNARY[name](value)


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    name: getattr(operator, name)
    for name in (
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
        *("and_", "or_", "xor", "lshift", "rshift", "lt", "le", "gt", "ge"),
    )
}
_UNARY: dict[str, Callable[[Any], Any]] = {
    **{name: getattr(operator, name) for name in ("neg", "pos", "invert")},
    **{each.__name__: each for each in (abs, bool, iter, len, repr, round, str)},
    "reversed": reversed,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "enter": lambda value: type(value).__enter__(value),
    "exit": lambda value: type(value).__exit__(value, None, None, None),
    "close": lambda value: value.close(),
}
OPERATIONS: dict[str, Callable[..., Any]] = {
    "call": lambda function, /, *args, **kwargs: function(*args, **kwargs),
    "getattr": getattr,
    "setattr": setattr,
    "delattr": delattr,
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "next": next,
    "send": lambda generator, value: generator.send(value),
    "throw": lambda generator, kind, args: generator.throw(
        build_error(error_type(kind) or Exception, args)
    ),
    "binary": _binary,
    "unary": _unary,
}
