"""Objects of the standard library that both children have: they cross by name.

Only functions and classes of modules without effects on the process, so that a name that comes
from the candidate never gives the test more than a function that it could have written itself.

Loaded by the fork server; standard library only.
"""

import builtins
import sys
from types import BuiltinFunctionType, FunctionType, ModuleType

_MODULES = frozenset(
    {
        *("array", "bisect", "calendar", "cmath", "collections", "collections.abc", "copy"),
        *("dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib"),
        *("heapq", "itertools", "json", "keyword", "math", "numbers", "operator", "random", "re"),
        *("statistics", "string", "textwrap", "time", "typing", "unicodedata"),
    }
)
_BUILTINS = frozenset(
    {
        *("abs", "all", "any", "ascii", "bin", "bool", "bytearray", "bytes", "callable", "chr"),
        *("complex", "dict", "divmod", "enumerate", "filter", "float", "format", "frozenset"),
        *("hash", "hex", "int", "isinstance", "issubclass", "iter", "len", "list", "map", "max"),
        *("min", "next", "object", "oct", "ord", "pow", "range", "repr", "reversed", "round"),
        *("set", "slice", "sorted", "str", "sum", "tuple", "type", "zip"),
        *(name for name, each in vars(builtins).items() if isinstance(each, type)),
    }
)
HELPERS = {
    "isclose": "math",
    "isfinite": "math",
    "isinf": "math",
    "isnan": "math",
    "fabs": "math",
    "deepcopy": "copy",
    "Counter": "collections",
    "OrderedDict": "collections",
    "defaultdict": "collections",
    "deque": "collections",
    "Decimal": "decimal",
    "Fraction": "fractions",
}
"""Names that a test may leave to the program to import, and whose answer decides: these are always
the judge's own."""


def standard_name(value: object) -> tuple[str, str] | None:
    """Module and name of a function or class of the standard library; None for anything else."""
    if not isinstance(value, type | FunctionType | BuiltinFunctionType):
        return None
    module = getattr(value, "__module__", None)
    name = getattr(value, "__name__", None)
    if type(module) is not str or type(name) is not str:
        return None
    found = standard_object(module, name)
    return (module, name) if found is value and found is not None else None


def standard_object(module: object, name: object) -> object | None:
    """What this process has under such a name; None where it may not cross."""
    if type(module) is not str or type(name) is not str or name.startswith("_"):
        return None
    if module == "builtins":
        return vars(builtins).get(name) if name in _BUILTINS else None
    if module not in _MODULES and module not in ("_collections", "_heapq", "_functools"):
        return None
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type | FunctionType | BuiltinFunctionType) else None


def standard_module(name: object) -> ModuleType | None:
    """The module of this name; None if it is not one that may cross."""
    return sys.modules.get(name) if type(name) is str and name in _MODULES else None
