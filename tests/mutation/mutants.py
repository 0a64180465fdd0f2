"""Mutants of a module: copies of one function each, with one small mistake that some test should notice."""

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import CodeType

_SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any"}
_NAMES |= {"start": "end", "end": "start", "lcm": "gcd"}
Node = ast.AST


@dataclass(frozen=True)
class Mutant:
    """One mistake.

    Attributes:
        function: qualified name of the outermost function or method that holds it.
        line: of the source.
        before, after: the expression, as text.
        code: of the function with the mistake in it.
    """

    function: str
    line: int
    before: str
    after: str
    code: CodeType


@dataclass(frozen=True)
class _Site:
    function: str
    node: Node
    put: Callable[[Node], None]


def mutants_of(source: str, filename: str) -> Iterator[Mutant]:
    """Yield every mutant of a module's functions, in the order of its text."""
    tree = ast.parse(source)
    for site in list(_functions(tree, "")):
        for changed in _variants(site.node):
            ast.copy_location(changed, site.node)
            site.put(changed)
            module = compile(ast.fix_missing_locations(tree), filename, "exec")
            site.put(site.node)
            code = code_of(module, site.function)
            yield Mutant(site.function, getattr(site.node, "lineno", 0), _text(site.node), _text(changed), code)


def code_of(module: CodeType, function: str) -> CodeType:
    """Return the code of a function or method by its qualified name."""
    for constant in module.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_qualname == function:
                return constant
            if function.startswith(constant.co_qualname + "."):
                return code_of(constant, function)
    raise LookupError(function)


def _text(node: Node) -> str:
    return ast.unparse(node).replace("\n", " ")[:100]


def _functions(tree: Node, prefix: str) -> Iterator[_Site]:
    """Yield the places in all functions and methods, outermost ones only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            named = _Places(f"{prefix}{node.name}")
            for number, statement in enumerate(node.body):
                if number or not _is_text(statement):  # the docstring is no code
                    yield from named.of(statement, _putter(node.body, number))


def _is_text(node: Node) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_check(node: Node) -> bool:
    """Tell whether it is the `strict=True` of zip, by which a mistake of ours would show."""
    return isinstance(node, ast.keyword) and node.arg == "strict"


def _putter(items: list[ast.stmt] | list[Node], number: int) -> Callable[[Node], None]:
    def put(node: Node) -> None:
        items[number] = node  # type: ignore[call-overload]

    return put


@dataclass(frozen=True)
class _Places:
    """Walks one function. Annotations, errors, pieces of formatted text and checks are left alone."""

    function: str

    def of(self, node: Node, put: Callable[[Node], None]) -> Iterator[_Site]:
        """Yield a place and those inside it."""
        if isinstance(node, ast.Raise | ast.JoinedStr) or _is_text(node) or _is_check(node):
            return
        yield _Site(self.function, node, put)
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "args") and not isinstance(node, ast.Call):
                continue
            if isinstance(value, list):
                for number, item in enumerate(value):
                    if isinstance(item, ast.AST):
                        yield from self.of(item, _putter(value, number))
            elif isinstance(value, ast.AST):
                yield from self.of(value, partial(setattr, node, name))


def _variants(node: Node) -> Iterator[Node]:
    """Yield what a node may be mistaken for."""
    if isinstance(node, ast.Constant):
        yield from _constants(node.value)
    elif isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            changed = copy.copy(node)
            changed.ops = [*node.ops[:number], _SWAPS[type(operator)](), *node.ops[number + 1 :]]
            yield changed
    elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp) and type(node.op) in _SWAPS:
        swapped = copy.copy(node)
        swapped.op = _SWAPS[type(node.op)]()
        yield swapped
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
        yield from _named(node)
    elif isinstance(node, ast.If | ast.IfExp | ast.While) and not isinstance(node.test, ast.Compare | ast.UnaryOp):
        turned = copy.copy(node)
        turned.test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)
        yield turned
    elif isinstance(node, ast.Continue):
        yield ast.Break()


def _constants(value: object) -> Iterator[Node]:
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
    elif isinstance(value, str):
        yield ast.Constant(f"{value}?")


def _named(node: ast.Name | ast.Attribute) -> Iterator[Node]:
    name = node.id if isinstance(node, ast.Name) else node.attr
    if name in _NAMES:
        changed = copy.copy(node)
        setattr(changed, "id" if isinstance(node, ast.Name) else "attr", _NAMES[name])
        yield changed
