"""Which fields of which classes a package reads, by the types that its own annotations give to names.

Only a read whose receiver is known to be the class counts: `config.training.seed` where `config: Config`, or `training.seed` where
`training: TrainingConfig`, through assignments, tuples, loops, `self` and calls. `job.seed` on something unannotated proves nothing.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeGuard

Scope = dict[str, ast.expr]
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Names:
    """What the modules declare: each class's annotated fields, and what each function returns."""

    fields: dict[str, Scope] = field(default_factory=dict)
    returns: Scope = field(default_factory=dict)

    def declare(self, module: ast.Module) -> None:
        for node in ast.walk(module):
            if isinstance(node, ast.ClassDef):
                annotated = (item for item in node.body if isinstance(item, ast.AnnAssign))
                self.fields[node.name] = {item.target.id: item.annotation for item in annotated if isinstance(item.target, ast.Name)}
            elif isinstance(node, FUNCTIONS) and node.returns:
                self.returns[node.name] = node.returns


def fields_read(modules: Iterable[str], classes: Iterable[str]) -> set[tuple[str, str]]:
    """Find reads.

    Args:
        modules: source texts; all their declarations are known to all of them.
        classes: source texts of modules whose declarations are known, too, but whose reads do not count.

    Returns:
        (class, field) pairs.
    """
    trees = [ast.parse(text) for text in modules]
    names = Names()
    for tree in [*(ast.parse(text) for text in classes), *trees]:
        names.declare(tree)
    return {read for tree in trees for read in _reads(tree, {}, names)}


def _reads(node: ast.AST, scope: Scope, names: Names) -> Iterator[tuple[str, str]]:
    """The reads below a node; a function is a scope of its own within the one around it, and a class shares its `self` among methods."""
    if isinstance(node, ast.ClassDef):
        scope = {**scope, **_attributes_of_self(node, scope, names)}
    elif isinstance(node, (*FUNCTIONS, ast.Lambda)):
        scope = _scope_of(node, scope, names)
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        owner = _type_of(node.value, scope, names)
        if isinstance(owner, ast.Name) and node.attr in names.fields.get(owner.id, {}):
            yield owner.id, node.attr
    for child in ast.iter_child_nodes(node):
        yield from _reads(child, scope, names)


def _scope_of(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, outer: Scope, names: Names) -> Scope:
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    scope = {**outer}
    for argument in arguments:
        scope.pop(argument.arg, None)
        if argument.annotation:
            scope[argument.arg] = argument.annotation
    for node in ast.walk(function):
        for target, kind in _bound(node, scope, names):
            scope.update({target.id: kind} if isinstance(target, ast.Name) else {})
    return scope


def _attributes_of_self(cls: ast.ClassDef, outer: Scope, names: Names) -> Scope:
    found: Scope = {f"self.{name}": kind for name, kind in names.fields.get(cls.name, {}).items()}
    for method in cls.body:
        if isinstance(method, FUNCTIONS):
            scope = _scope_of(method, outer, names)
            bound = [pair for node in ast.walk(method) for pair in _bound(node, scope, names)]
            found |= {f"self.{target.attr}": kind for target, kind in bound if isinstance(target, ast.Attribute) and _is_self(target.value)}
    return found


def _bound(node: ast.AST, scope: Scope, names: Names) -> Iterator[tuple[ast.expr, ast.expr]]:
    """The (target, type) pairs that an assignment, a loop or a comprehension binds."""
    if isinstance(node, ast.AnnAssign):
        yield node.target, node.annotation
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _pair(target, node.value, scope, names)
    elif isinstance(node, (ast.For, ast.comprehension)):
        yield from _each(node.target, node.iter, scope, names)


def _pair(target: ast.expr, value: ast.expr, scope: Scope, names: Names) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(target.elts, value.elts, strict=True):
            yield from _pair(one, its, scope, names)
    elif kind := _type_of(value, scope, names):
        yield target, kind


def _each(target: ast.expr, iterated: ast.expr, scope: Scope, names: Names) -> Iterator[tuple[ast.expr, ast.expr]]:
    if isinstance(iterated, ast.Call) and isinstance(iterated.func, ast.Attribute) and iterated.func.attr in ("items", "values"):
        value = _element(_type_of(iterated.func.value, scope, names))
        last = target.elts[-1] if isinstance(target, ast.Tuple) and iterated.func.attr == "items" else target
        if value:
            yield last, value
    elif value := _element(_type_of(iterated, scope, names)):
        yield target, value


def _type_of(value: ast.expr, scope: Scope, names: Names) -> ast.expr | None:
    if isinstance(value, ast.Name):
        return _plain(scope.get(value.id))
    if isinstance(value, ast.Attribute):
        if _is_self(value.value):
            return _plain(scope.get(f"self.{value.attr}"))
        owner = _type_of(value.value, scope, names)
        return _plain(names.fields.get(owner.id, {}).get(value.attr)) if isinstance(owner, ast.Name) else None
    if isinstance(value, ast.Subscript):
        return _element(_type_of(value.value, scope, names))
    if isinstance(value, ast.Call):
        called = value.func.id if isinstance(value.func, ast.Name) else value.func.attr if isinstance(value.func, ast.Attribute) else ""
        return ast.Name(called) if called in names.fields else _plain(names.returns.get(called))
    return None


def _plain(annotation: ast.expr | None) -> ast.expr | None:
    """An annotation without quotes, `Annotated` and `| None`."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return _plain(ast.parse(annotation.value, mode="eval").body)
    if isinstance(annotation, ast.BinOp):
        return _plain(annotation.left)
    if isinstance(annotation, ast.Attribute):
        return ast.Name(annotation.attr)
    if _is_generic(annotation, "Annotated"):
        return _plain(annotation.slice.elts[0]) if isinstance(annotation.slice, ast.Tuple) else None
    return annotation


def _element(container: ast.expr | None) -> ast.expr | None:
    """What a subscript or an iteration over the values of a container gives: the last of its parameters."""
    if not isinstance(container, ast.Subscript):
        return None
    return _plain(container.slice.elts[-1] if isinstance(container.slice, ast.Tuple) else container.slice)


def _is_generic(annotation: ast.expr | None, name: str) -> TypeGuard[ast.Subscript]:
    return isinstance(annotation, ast.Subscript) and isinstance(annotation.value, ast.Name) and annotation.value.id == name


def _is_self(value: ast.expr) -> bool:
    return isinstance(value, ast.Name) and value.id == "self"
