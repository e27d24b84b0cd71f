"""The shape of the code: small modules, small functions, every package says what it is."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "orchestrator").rglob("*.py")) + sorted((ROOT / "tests").rglob("*.py"))
LARGEST_MODULE_LINES, LARGEST_FUNCTION_LINES, MEDIAN_FUNCTION_LINES = 300, 50, 12
GRAB_BAGS = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "base"}


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body, its docstring not counted."""
    body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
    return (node.end_lineno or node.lineno) - body[0].lineno + 1


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_and_its_functions_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LARGEST_MODULE_LINES
    assert {node.name: length(node) for node in functions(path) if length(node) > LARGEST_FUNCTION_LINES} == {}


def test_half_of_all_functions_are_short() -> None:
    lengths = sorted(length(node) for path in MODULES if "tests" not in path.parts for node in functions(path))
    assert lengths[len(lengths) // 2] <= MEDIAN_FUNCTION_LINES


def test_no_function_takes_more_than_seven_arguments_or_more_than_five_by_position() -> None:
    def too_many(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        positional = [a for a in node.args.args if a.arg not in ("self", "cls")]
        return len(positional) > 5 or len(positional) + len(node.args.kwonlyargs) > 7

    found = [f"{path.name}:{node.name}" for path in MODULES if "orchestrator" in path.parts for node in functions(path) if too_many(node)]
    assert found == []


def test_no_module_is_a_grab_bag() -> None:
    assert [path for path in MODULES if path.stem in GRAB_BAGS] == []


def test_every_module_of_the_package_says_what_it_is() -> None:
    silent = [path.name for path in MODULES if "tests" not in path.parts and not ast.get_docstring(ast.parse(path.read_text()))]
    assert silent == []


def test_the_set_up_keeps_just_the_torch_that_the_package_allows() -> None:
    declared = re.search(r'"torch>=(\d+)\.(\d+),<(\d+)"', (ROOT / "pyproject.toml").read_text())
    kept = re.search(r"\((\d+), (\d+)\) <= v < \((\d+), 0\)", (ROOT / "Makefile").read_text())
    assert declared and kept and declared.groups() == kept.groups()


def test_constraints_pin_every_package_exactly_and_leave_torch_to_the_machine() -> None:
    lines = (ROOT / "constraints.txt").read_text().split()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    assert not {line.split("==")[0].lower() for line in lines} & {"torch", "triton"}
