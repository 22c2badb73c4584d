"""The judge child's side of the link: what the candidate sends becomes values and stand-ins.

Loaded by the fork server; standard library only.
"""

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from redline.sandbox.codec import MalformedValue
from redline.sandbox.describe import MAX_CALL_CHARS, cut, show
from redline.sandbox.endpoint import Endpoint, ResultTooLarge
from redline.sandbox.errors import (
    TEST,
    build_error,
    builtin_base,
    error_text,
    error_type,
    innermost_line,
    message_of,
)
from redline.sandbox.link import Link, LinkBroken, MessageKind
from redline.sandbox.link_codec import Reference
from redline.sandbox.standard import HELPERS, standard_module, standard_name, standard_object
from redline.sandbox.stubs import (
    RemoteClass,
    RemoteGenerator,
    RemoteObject,
    make,
    make_class,
    make_function,
)

_MAX_OBJECTS = 100_000
_MAX_TEXT = 400
_RESUMED = ("next", "send", "throw")


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCall:
    """The call of the program that a test made last."""

    call: str
    came_back: str
    """`gave 3` or `raised ValueError`; empty while it runs."""


class JudgeSide(Endpoint):
    """Asks the candidate on behalf of one test after another."""

    def __init__(self, link: Link, result_bytes: int) -> None:
        super().__init__(link, result_bytes)
        self._reset()

    def wait_until_ready(self) -> None:
        """Wait for setup and program to have run; raises `LinkFault`."""
        kind, _, _ = self.link.receive()
        if kind is not MessageKind.READY:
            raise LinkBroken(f"{kind.name} instead of READY")

    def start_test(self) -> None:
        """Forget the stand-ins of the test before, here and there; raises `LinkFault`."""
        self._reset()
        self.ask("test")
        self.used = False

    def _reset(self) -> None:
        self.used = False
        """Whether the test asked the candidate for anything."""
        self.last_call: LastCall | None = None
        self.too_large = False
        """Whether a result was too large, which a test's bare `except` may have hidden."""
        self.failed_callback = ""
        """The line of an assertion that failed in a function given to the candidate."""
        self._told: list[tuple[BaseException, str]] = []
        self._objects: dict[int, Any] = {}
        self._numbers: dict[type, int] = {}
        self._exports: list[Any] = []
        self._export_numbers: dict[int, int] = {}

    def ask(self, operation: str, /, *args: Any, **kwargs: Any) -> Any:
        """As in `Endpoint`; notes that the test used the program."""
        self.used = True
        try:
            return super().ask(operation, *args, **kwargs)
        except ResultTooLarge:
            self.too_large = True
            raise

    def call(self, stub: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function or class of the program, noting what was called and what came back."""
        shown = [show(each) for each in args]
        shown += [f"{key}={show(each)}" for key, each in kwargs.items()]
        label = cut(f"{name}({', '.join(shown)})", MAX_CALL_CHARS)
        self.last_call = LastCall(call=label, came_back="")
        try:
            value = self.ask("call", stub, *args, **kwargs)
        except Exception as error:
            self.last_call = LastCall(call=label, came_back=f"raised {type(error).__name__}")
            raise
        self.last_call = LastCall(call=label, came_back=f"gave {show(value)}")
        return value

    def name(self, name: str) -> Any:
        """What the program has under a name; raises `NameError`."""
        if name in HELPERS:
            return standard_object(HELPERS[name], name)
        return self.ask("name", name)

    def told(self, error: BaseException) -> str | None:
        """The text of an exception that the program raised; None if it is the test's own."""
        return next((text for each, text in self._told if each is error), None)

    def operate(self, operation: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function of the test, or take the next element of its iterator; nothing else."""
        target: Any = args[0] if args else None
        if id(target) not in self._export_numbers or operation not in ("call", "next"):
            raise LinkBroken(f"the program may not ask for {operation}")
        try:
            return next(target) if operation == "next" else target(*args[1:], **kwargs)
        except AssertionError as error:
            line = innermost_line(error.__traceback__, TEST)
            if line and self.told(error) is None:
                self.failed_callback = self.failed_callback or str(line)
            raise

    def refer(self, value: object) -> Reference:
        """Give back what is the candidate's; of the test's own only what can be called or read."""
        if isinstance(value, RemoteObject):
            return ("yours", value.redline_number)
        if isinstance(value, type) and value in self._numbers:
            return ("yours", self._numbers[value])
        if isinstance(value, types.ModuleType) and standard_module(value.__name__) is value:
            return ("module", value.__name__)
        if (standard := standard_name(value)) is not None:
            return ("standard", *standard)
        if isinstance(value, BaseException):
            return ("error", self._export(value))
        if isinstance(value, Iterator):
            return ("iterator", self._export(value))
        if callable(value):
            return ("function", self._export(value))
        raise TypeError(f"a test cannot pass a {type(value).__name__} to the program")

    def resolve(self, reference: object) -> Any:
        """A stand-in for an object of the candidate, or an object that both sides have."""
        match reference:
            case ("object", int(number), tuple(ancestry)):
                return self._object(number, ancestry)
            case ("function", int(number), str(name)):
                return self._kept(number, lambda: make_function(self, number, name[:64]))
            case ("generator", int(number)):
                return self._kept(number, lambda: make(RemoteGenerator, self, number))
            case ("class", tuple(ancestry), base):
                return self._class(ancestry, RemoteObject if base is None else error_type(base))
            case ("yours", int(number)) if 0 <= number < len(self._exports):
                return self._exports[number]
            case ("module", name) if (module := standard_module(name)) is not None:
                return module
            case ("standard", module, name) if (found := standard_object(module, name)) is not None:
                return found
        raise MalformedValue("a reference that means nothing")

    def error_data(self, error: BaseException, *, brief: bool = False) -> Reference:
        """An exception of the test for the candidate: its type, its arguments, and itself."""
        kind = type(error)
        shared = (each for each in kind.__mro__ if each in self._numbers or self._is_of_setup(each))
        own = next(shared, None)
        return (own or builtin_base(kind).__name__, () if brief else error.args, error)

    def error_from(self, data: Any, operation: str) -> BaseException:
        """The candidate's exception; one that the test itself raised comes back as that one."""
        match data:
            case ("returned", BaseException() as error):
                return error
            case (
                "raised",
                tuple(ancestry),
                base,
                tuple(args),
                tuple(state),
                str(text),
                int(line),
            ):
                pass
            case _:
                raise MalformedValue("an exception that is none")
        kind = base if self._is_of_setup(base) else error_type(base)
        if kind is None:
            raise MalformedValue("an exception of no known type")
        if ancestry:
            kind = self._class(ancestry, kind)
        told = error_text(kind.__name__, text, line, _MAX_TEXT)
        if issubclass(kind, StopIteration | StopAsyncIteration) and operation not in _RESUMED:
            # It would end a loop of the test's own, as in `all(map(...))`, before its time.
            raised: BaseException = RuntimeError(f"the program raised {kind.__name__}")
        else:
            raised = build_error(kind, args)
        if ancestry:
            raised.__dict__["_text"] = text
        for item in state:
            match item:
                case (str(key), value) if not key.startswith("_"):
                    raised.__dict__[key] = value
        self._told = [*self._told[-64:], (raised, told)]
        return raised

    def _is_of_setup(self, kind: object) -> bool:
        return (
            isinstance(kind, type)
            and issubclass(kind, BaseException)
            and self.classes.reference(kind) is not None
        )

    def note(self, error: BaseException) -> BaseException:
        """Take an exception raised here for one of the program's, such as a missing name."""
        self._told.append((error, error_text(type(error).__name__, message_of(error), 0)))
        return error

    def _export(self, value: object) -> int:
        number = self._export_numbers.get(id(value))
        if number is None:
            number = self._export_numbers[id(value)] = len(self._exports)
            self._exports.append(value)
        return number

    def _object(self, number: int, ancestry: tuple[Any, ...]) -> Any:
        kind = self._class(ancestry, RemoteObject)
        if not issubclass(kind, RemoteObject):
            raise MalformedValue("an object whose class is an exception")
        return self._kept(number, lambda: make(kind, self, number))

    def _kept(self, number: int, build: Any) -> Any:
        """One stand-in per object, so that `is` holds here where it holds there."""
        found = self._objects.get(number)
        if found is None:
            if len(self._objects) >= _MAX_OBJECTS:
                raise MalformedValue("too many objects")
            found = self._objects[number] = build()
        elif isinstance(found, type):
            raise MalformedValue("an object with the number of a class")
        return found

    def _class(self, ancestry: tuple[Any, ...], base: type[Any] | None) -> type[Any]:
        """The class whose ancestry this is, the most derived first, each made only once."""
        if base is None or not 0 < len(ancestry) <= 8:
            raise MalformedValue("a class without an ancestry")
        parent = base
        for each in reversed(ancestry):
            match each:
                case (int(number), str(name)):
                    parent = self._one_class(number, name, parent)
                case _:
                    raise MalformedValue("a class without number and name")
        return parent

    def _one_class(self, number: int, name: str, parent: type[Any]) -> type[Any]:
        found = self._objects.get(number)
        if found is not None:
            if not isinstance(found, type) or isinstance(found, RemoteClass) != isinstance(
                parent, RemoteClass
            ):
                raise MalformedValue("a class with the number of something else")
            return found
        if len(self._objects) >= _MAX_OBJECTS:
            raise MalformedValue("too many classes")
        name = name if name.isidentifier() else "object"
        if isinstance(parent, RemoteClass):
            made = make_class(self, name, parent)
        else:
            made = type(name, (parent,), {"__str__": _text, "__module__": "program"})
        self._objects[number] = made
        self._numbers[made] = number
        return made


def _text(error: BaseException) -> str:
    text = error.__dict__.get("_text")
    return text if type(text) is str else BaseException.__str__(error)
