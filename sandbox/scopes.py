"""Names that a piece of Python reads and binds, from its syntax tree.

Loaded by the fork server; standard library only.
"""

import ast


def loaded_names(tree: ast.Module) -> set[str]:
    """Names that are read anywhere in the code."""
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def dotted_names(tree: ast.Module) -> set[str]:
    """Names that are read only to get at an attribute, as the `math` of `math.pi`."""
    return {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


def bound_names(tree: ast.Module) -> set[str]:
    """Names that the code binds anywhere: by assignment, definition, import or as a parameter."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.ClassDef(name=name) | ast.ExceptHandler(name=str(name)) | ast.arg(arg=name):
                names.add(name)
            case ast.alias(name=module, asname=name):
                names.add((name or module).partition(".")[0])
    return names
