"""What a test sees of the candidate: functions, classes and objects that are asked over the link.

No code of the candidate runs here, and no stand-in lets it decide a comparison with a value of the
test:
- `==` is identity, so an object of the program never equals a value of the test.
- `<` and its kin work between two stand-ins only.
- Arithmetic with a value of the test tells the candidate that value, which may be what is
  expected (`abs(f(2) - 3.14) < 1e-6`). It may only give another object, a blunt one, that has
  attributes and a text but neither truth nor length, order, sign or elements.
- `in` walks the elements and compares them here.
- `startswith` and other questions that builtin types answer with yes or no take no arguments.
- Nothing converts to a number, so `math.isclose(f(2), 3.14)` of an object is a TypeError.

Loaded by the fork server; standard library only.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redline.sandbox.judge_side import JudgeSide

_QUESTIONS = frozenset({"startswith", "endswith", "issubset", "issuperset", "isdisjoint"})
_TOLD = frozenset({"__name__", "__qualname__", "__wrapped__", "__annotations__", "__members__"})


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__") and name not in _TOLD


class RemoteClass(type):
    """A class of the program; its instances here are the stand-ins of its instances there."""

    redline_class_side: JudgeSide

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return cls.redline_class_side.call(cls, cls.__name__, args, kwargs)

    def __getattr__(cls, name: str) -> Any:
        if _is_special(name):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        return cls.redline_class_side.ask("getattr", cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        cls.redline_class_side.ask("setattr", cls, name, value)

    def __iter__(cls) -> Iterator[Any]:
        return cls.redline_class_side.ask("unary", "iter", cls)

    def __len__(cls) -> int:
        return cls.redline_class_side.ask("unary", "len", cls)

    def __bool__(cls) -> bool:
        return True

    def __getitem__(cls, key: Any) -> Any:
        return cls.redline_class_side.ask("getitem", cls, key)

    def __contains__(cls, value: Any) -> bool:
        return any(each is value or each == value for each in cls)

    def __repr__(cls) -> str:
        return f"<class {cls.__name__!r}>"


def _unary(operation: str) -> Callable[[RemoteObject], Any]:
    def method(self: RemoteObject) -> Any:
        return self.redline_sharp().ask("unary", operation, self)

    return method


def _binary(operation: str, *, reflected: bool = False) -> Callable[[RemoteObject, Any], Any]:
    def method(self: RemoteObject, other: Any) -> Any:
        left, right = (other, self) if reflected else (self, other)
        result = self.redline_side.ask("binary", operation, left, right)
        if isinstance(other, RemoteObject) and not (self.redline_blunt or other.redline_blunt):
            return result
        if not isinstance(result, RemoteObject):
            raise TypeError(
                f"an object of the program and a {type(other).__name__} of the test gave no object"
            )
        return make(type(result), self.redline_side, result.redline_number, blunt=True)

    return method


def _ordering(operation: str) -> Callable[[RemoteObject, Any], Any]:
    def method(self: RemoteObject, other: Any) -> Any:
        if not isinstance(other, RemoteObject) or other.redline_blunt:
            return NotImplemented
        return self.redline_sharp().ask("binary", operation, self, other)

    return method


class RemoteObject(metaclass=RemoteClass):
    """An object of the program."""

    __slots__ = ("redline_blunt", "redline_number", "redline_side")
    redline_blunt: bool
    redline_number: int
    redline_side: JudgeSide

    def redline_sharp(self) -> JudgeSide:
        """The link, for what a blunt object must not be asked."""
        if self.redline_blunt:
            raise TypeError("an object made with a value of the test has only attributes")
        return self.redline_side

    def __getattr__(self, name: str) -> Any:
        if _is_special(name):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = self.redline_side.ask("getattr", self, name)
        if name in _QUESTIONS and isinstance(value, RemoteObject):
            return make(_Question, self.redline_side, value.redline_number)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        self.redline_side.ask("setattr", self, name, value)

    def __delattr__(self, name: str) -> None:
        self.redline_side.ask("delattr", self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self.redline_sharp().call(self, type(self).__name__, args, kwargs)

    def __next__(self) -> Any:
        return self.redline_sharp().ask("next", self)

    def __getitem__(self, key: Any) -> Any:
        return self.redline_sharp().ask("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.redline_sharp().ask("setitem", self, key, value)

    def __delitem__(self, key: Any) -> None:
        self.redline_sharp().ask("delitem", self, key)

    def __contains__(self, value: Any) -> bool:
        return any(each is value or each == value for each in self)

    def __str__(self) -> str:
        return self.redline_side.ask("unary", "str", self)

    def __repr__(self) -> str:
        return self.redline_side.ask("unary", "repr", self)

    def __format__(self, spec: str) -> str:
        if spec:
            raise TypeError("an object of the program takes no format")
        return str(self)

    def __round__(self, digits: int | None = None) -> Any:
        return self.redline_sharp().ask("call", round, self, digits)

    def __deepcopy__(self, memo: object) -> Any:
        return self.redline_sharp().ask("unary", "deepcopy", self)

    def __exit__(self, *error: object) -> None:
        self.redline_side.ask("unary", "exit", self)

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError("an object of the program cannot be pickled")

    __bool__, __len__, __iter__ = _unary("bool"), _unary("len"), _unary("iter")
    __abs__, __neg__, __pos__, __invert__ = map(_unary, ("abs", "neg", "pos", "invert"))
    __reversed__, __copy__, __enter__ = map(_unary, ("reversed", "copy", "enter"))
    __lt__, __le__, __gt__, __ge__ = map(_ordering, ("lt", "le", "gt", "ge"))


_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and_", "or_")
for _name in (*_ARITHMETIC, "xor", "lshift", "rshift"):
    _bare = _name.rstrip("_")
    type.__setattr__(RemoteObject, f"__{_bare}__", _binary(_name))
    type.__setattr__(RemoteObject, f"__r{_bare}__", _binary(_name, reflected=True))


class RemoteFunction(RemoteObject):
    """A function of the program, or a method of one of its objects."""

    __slots__ = ("__name__",)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: D102
        return self.redline_sharp().call(self, self.__name__, args, kwargs)

    def __repr__(self) -> str:
        return f"<function {self.__name__}>"

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        return self if instance is None else types.MethodType(self, instance)

    __str__ = __repr__


class _Question(RemoteFunction):
    """A method by which builtin types answer yes or no about a value of the test."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if args or kwargs:
            raise TypeError("an object of the program cannot answer that about a value of the test")
        return self.redline_side.ask("call", self)


class RemoteGenerator(RemoteObject):
    """A generator of the program."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        return self

    def send(self, value: Any) -> Any:
        """Resume the generator with a value."""
        return self.redline_side.ask("send", self, value)

    def throw(self, error: Any) -> Any:
        """Resume the generator with an exception of a builtin type."""
        instance = error() if isinstance(error, type) else error
        return self.redline_side.ask("throw", self, type(instance).__name__, instance.args)

    def close(self) -> None:
        """End the generator."""
        self.redline_side.ask("unary", "close", self)

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """So that `isinstance` takes it for what it stands for."""
        return types.GeneratorType


def make(kind: type[Any], side: JudgeSide, number: int, *, blunt: bool = False) -> Any:
    """A stand-in of this kind for the candidate's object of this number."""
    stub = object.__new__(kind)
    object.__setattr__(stub, "redline_side", side)
    object.__setattr__(stub, "redline_number", number)
    object.__setattr__(stub, "redline_blunt", blunt)
    if issubclass(kind, RemoteFunction):
        object.__setattr__(stub, "__name__", "function")
    return stub


def make_function(side: JudgeSide, number: int, name: str) -> RemoteFunction:
    """A stand-in for a function."""
    stub = make(RemoteFunction, side, number)
    object.__setattr__(stub, "__name__", name)
    return stub


def make_class(side: JudgeSide, name: str, parent: type[Any]) -> type[Any]:
    """A stand-in for a class, below that of the class it derives from."""
    namespace = {"__slots__": (), "__module__": "program", "redline_class_side": side}
    return RemoteClass(name, (parent,), namespace)
