"""The layers of netsynth, read from the imports. CONTRIBUTING.md draws the picture that this file holds.

Every check is a function of the sources, so that the tests at the end can show each of them failing.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "netsynth"
MAX_LINES = 550  # about 500 is a sign that two things live in one file

#: Layer of every module and folder of netsynth. A new one is added here, or the first test fails.
LAYERS = {
    "foundation": ("errors", "units", "_typing", "_validate", "_format", "_parallel"),
    "kernels": ("kernels",),
    "compat": ("_compat",),
    "data": ("data", "reported"),
    "results": ("results",),
    "verbs": (
        "_evidence",
        "_factor_choice",
        "pooled_bounds",
        "differences",
        "_landmark",
        "_five_numbers",
        "_reported_medians",
        "_fragments",
        "_printed",
        "aggregate",
        "arms",
        "audit",
        "audits",
        "bayes",
        "certainty",
        "counts",
        "couple",
        "curve_methods",
        "dependent",
        "diagnose",
        "factor_pooling",
        "fragments",
        "figure",
        "subsets",
        "hazard_ratio",
        "hazard_routes",
        "ipd",
        "markers",
        "median_survival",
        "medians",
        "multivariate",
        "one_stage",
        "outcomes",
        "over_time",
        "pool",
        "prognostic",
        "proportions",
        "pvalues",
        "quality",
        "reconstruct",
        "regress",
        "selection",
        "small_studies",
        "subgroups",
        "survival",
        "swim",
        "trend",
        "votes",
    ),
    "edges": ("io", "tables", "plots", "report", "datasets"),
    "top": ("__init__",),
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}

#: What a layer may import besides itself. "compat" is the door to lifelines and statsmodels.
BELOW = {
    "foundation": set(),
    "kernels": set(),  # and the two modules of KERNELS_MAY_USE: no labels, no units, no validation
    "compat": {"foundation", "kernels"},
    "data": {"foundation"},  # it computes nothing
    "results": {"foundation", "kernels", "compat", "data"},
    "verbs": {"foundation", "kernels", "compat", "data", "results"},
    "edges": {"foundation", "kernels", "compat", "data", "results", "verbs"},
    "top": set(LAYERS),
}
KERNELS_MAY_USE = {"_typing", "errors"}
#: Layers whose methods (`plot`, `summary_frame`, `from_csv`, ...) may reach an edge by an inner import.
REACH_EDGES_IN_METHODS = {"data", "results"}

#: Packages that a module may import when it is itself imported; all others are imported where used.
AT_THE_TOP = {"numpy", "numpy.typing", "scipy.special"}
#: Places (layers, modules or folders) where a heavy package may be imported, always inside a function.
INSIDE_FUNCTIONS = {
    "scipy": set(LAYERS),
    "pandas": {"data", "results", "verbs", "edges", "compat"},
    "matplotlib": {"plots", "report"},
    "narwhals": {"io"},
    "openpyxl": {"io"},
    "lifelines": {"_compat"},
    "statsmodels": {"_compat"},
    "formulaic": {"_compat"},
    "joblib": {"_parallel"},
    "tqdm": {"_parallel"},
}
#: `importlib` can hide imports from this test; reading packaged files and versions with it cannot.
INNOCENT_IMPORTLIB = {"importlib.resources", "importlib.metadata"}

#: Files that are allowed to be longer, each with the reason.
LONG: dict[str, str] = {}


class Import(NamedTuple):
    """One imported name: `module`, for a from-import the `name` taken from it, and what it is `bound` to."""

    module: str
    name: str
    bound: str
    line: int
    scope: str  # "top", "function", "method", or "typing" for `if TYPE_CHECKING`

    @property
    def full(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module

    @property
    def place(self) -> str:
        """The module or folder of netsynth that is reached: "pool" for netsynth.pool."""
        parts = self.full.split(".")
        return parts[1] if len(parts) > 1 else "__init__"


@cache
def tree(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def imports(source: str) -> tuple[Import, ...]:
    return tuple(_imports(tree(source), "top"))


def _imports(node: ast.AST, scope: str, *, in_class: bool = False) -> Iterator[Import]:
    match node:
        case ast.Import():
            for alias in node.names:
                yield Import(alias.name, "", alias.asname or alias.name, node.lineno, scope)
        case ast.ImportFrom():
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                yield Import(module, alias.name, alias.asname or alias.name, node.lineno, scope)
        case ast.If(test=ast.Name("TYPE_CHECKING")):
            for child in node.body:
                yield from _imports(child, "typing")
            for child in node.orelse:
                yield from _imports(child, scope)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            inner = scope if scope == "method" else "method" if in_class else "function"
            for child in ast.iter_child_nodes(node):
                yield from _imports(child, inner)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _imports(child, scope, in_class=isinstance(node, ast.ClassDef))


def place_of(path: str) -> str:
    """Module or folder right under netsynth: "pool" for pool.py, "data" for data/study.py."""
    return path.split("/")[0].removesuffix(".py")


def module_of(path: str) -> str:
    return ".".join(("netsynth", *path.removesuffix(".py").removesuffix("/__init__").split("/")))


def unassigned(sources: Mapping[str, str]) -> list[str]:
    return [
        f"netsynth/{path} belongs to no layer: add {place_of(path)!r} to LAYERS in tests/test_architecture.py"
        for path in sources
        if place_of(path) not in LAYER_OF
    ]


def misdirected(sources: Mapping[str, str]) -> list[str]:
    """Imports within netsynth that do not point down."""
    found = []
    for path, source in sources.items():
        layer = LAYER_OF.get(place_of(path), "top")
        for item in imports(source):
            if item.module.startswith("."):
                found.append(f"netsynth/{path}:{item.line} imports relatively; write the import absolute")
            if item.module.split(".")[0] != "netsynth":
                continue
            target = LAYER_OF.get(item.place, "top")
            if layer == "kernels" and target == "foundation":
                allowed = item.place in KERNELS_MAY_USE
            elif target == "edges" and layer in REACH_EDGES_IN_METHODS:
                allowed = item.scope in ("method", "typing")
            else:
                allowed = target == layer or target in BELOW[layer]
            if not allowed:
                found.append(
                    f"netsynth/{path}:{item.line} ({layer}) must not import {item.module} ({target}) "
                    f"at {item.scope} level"
                )
    return found


def foreign(sources: Mapping[str, str]) -> list[str]:
    """Imports of other packages in a place, or at a level, where they do not belong."""
    found = []
    for path, source in sources.items():
        place = place_of(path)
        for item in imports(source):
            package = item.module.split(".")[0]
            where = f"netsynth/{path}:{item.line}"
            if item.module.startswith(".") or package == "netsynth" or item.scope == "typing":
                continue
            if package in sys.stdlib_module_names:
                if package == "importlib" and not {item.module, item.full} & INNOCENT_IMPORTLIB:
                    found.append(f"{where} imports by a computed name; write the import out")
                continue
            if item.scope == "top":
                if item.module not in AT_THE_TOP:
                    found.append(f"{where} imports {item.module} at the top; do so where it is used")
            elif package != "numpy" and not {place, LAYER_OF.get(place)} & INSIDE_FUNCTIONS.get(
                package, set()
            ):
                found.append(f"{where} must not import {package}; see INSIDE_FUNCTIONS")
    return found


def private(sources: Mapping[str, str]) -> list[str]:
    """Private names of another module that a module imports, or reaches through the module's name."""
    found = []
    modules = {module_of(path) for path in sources}
    for path, source in sources.items():
        own = module_of(path)
        bound = set()
        for item in imports(source):
            if item.module.split(".")[0] != "netsynth" or item.full == own:
                continue
            if item.full in modules:
                bound.add(item.bound)
            elif item.name.startswith("_"):
                found.append(f"netsynth/{path}:{item.line} imports the private name {item.full}")
        found += [
            f"netsynth/{path}:{node.lineno} uses the private {ast.unparse(node)}"
            for node in ast.walk(tree(source))
            if isinstance(node, ast.Attribute)
            and node.attr.startswith("_")
            and not node.attr.startswith("__")
            and ast.unparse(node.value) in bound
        ]
    return found


def rings(sources: Mapping[str, str]) -> list[str]:
    """Modules that import each other, at the top, in a ring; found by removing what imports nothing left."""
    modules = {module_of(path) for path in sources}
    graph = {module_of(path): set[str]() for path in sources}
    for path, source in sources.items():
        for item in imports(source):
            if item.scope == "top":
                target = item.full if item.full in modules else item.module
                graph[module_of(path)] |= {target} & modules
    while free := {module for module, targets in graph.items() if not targets & graph.keys()}:
        graph = {module: targets for module, targets in graph.items() if module not in free}
    return [f"a ring of imports runs through {module}" for module in sorted(graph)]


def long(sources: Mapping[str, str], allowed: Mapping[str, str]) -> list[str]:
    lengths = {path: source.count("\n") for path, source in sources.items()}
    too_long = [
        f"netsynth/{path} has {length} lines: two things live in it, or LONG says why not"
        for path, length in lengths.items()
        if length > MAX_LINES and path not in allowed
    ]
    stale = [f"netsynth/{path} is not long: take it out of LONG" for path in allowed]
    return too_long + [text for text, path in zip(stale, allowed, strict=True) if lengths[path] <= MAX_LINES]


SOURCES = {
    path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
}


def test_every_file_has_a_layer():
    assert unassigned(SOURCES) == []


@pytest.mark.parametrize("check", [misdirected, foreign, private, rings])
def test_the_picture_holds(check):
    assert check(SOURCES) == []


def test_files_are_of_readable_length():
    assert long(SOURCES, LONG) == []


def test_the_package_was_read():
    assert {"__init__.py", "errors.py", "kernels/__init__.py", "data/number.py"} <= SOURCES.keys()


BROKEN = [
    (misdirected, "kernels/a.py", "from netsynth import units"),
    (misdirected, "kernels/a.py", "from netsynth._validate import level"),
    (misdirected, "kernels/a.py", "def f():\n    import netsynth.data.study"),
    (misdirected, "errors.py", "import netsynth.units, netsynth.kernels.steps"),
    (misdirected, "data/a.py", "from netsynth.kernels import steps"),
    (misdirected, "data/a.py", "from netsynth.results.pooled import PooledEffect"),
    (misdirected, "data/a.py", "def f():\n    from netsynth.io import frames"),
    (misdirected, "results/a.py", "from netsynth.plots import forest"),
    (misdirected, "results/a.py", "class A:\n    from netsynth.plots import forest"),
    (misdirected, "results/a.py", "class A:\n    def plot(self):\n        from netsynth.pool import f"),
    (misdirected, "pool.py", "def f():\n    from netsynth.plots.forest import forest_plot"),
    (misdirected, "pool.py", "import netsynth"),
    (misdirected, "data/a.py", "from . import study"),
    (foreign, "pool.py", "import pandas as pd"),
    (foreign, "pool.py", "if True:\n    from scipy import stats"),
    (foreign, "pool.py", "import scipy"),
    (foreign, "plots/a.py", "from matplotlib import pyplot"),
    (foreign, "pool.py", "def f():\n    import matplotlib.pyplot"),
    (foreign, "kernels/a.py", "def f():\n    import pandas"),
    (foreign, "results/a.py", "def f():\n    import lifelines"),
    (foreign, "_compat.py", "import lifelines"),
    (foreign, "data/a.py", "def f():\n    import narwhals"),
    (foreign, "pool.py", "def f():\n    import requests"),
    (foreign, "pool.py", "from importlib import import_module"),
    (private, "pool.py", "from netsynth.aggregate import _Values"),
    (private, "pool.py", "from netsynth import aggregate\naggregate._Values()"),
    (private, "pool.py", "from netsynth import aggregate as a\na._Values()"),
    (private, "pool.py", "import netsynth.aggregate\nnetsynth.aggregate._Values()"),
]


@pytest.mark.parametrize(("check", "path", "source"), BROKEN, ids=[f"{b[1]}: {b[2]}" for b in BROKEN])
def test_a_wrong_import_is_seen(check, path, source):
    assert len(check({"aggregate.py": "", path: source})) == 1


FINE = [
    (
        "kernels/a.py",
        "import numpy as np\nfrom scipy.special import ndtri\nfrom netsynth._typing import Interval",
    ),
    ("kernels/a.py", "def f():\n    from scipy.optimize import brentq"),
    ("results/a.py", "class A:\n    def plot(self):\n        from netsynth.plots.forest import forest_plot"),
    ("results/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pandas as pd"),
    ("data/a.py", "class A:\n    def f(self):\n        import pandas"),
    ("io/a.py", "from importlib.resources import files\ndef f():\n    import narwhals"),
    ("pool.py", "from netsynth import _format, aggregate\naggregate.median_range, _format.number"),
    ("__init__.py", "from netsynth.aggregate import median_range\nfrom netsynth.plots import forest"),
]


@pytest.mark.parametrize(("path", "source"), FINE, ids=[f"{f[0]}: {f[1]}" for f in FINE])
def test_a_right_import_is_left_alone(path, source):
    sources = {"aggregate.py": "", "_format.py": "", path: source}
    assert [text for check in (misdirected, foreign, private, rings) for text in check(sources)] == []


def test_a_new_file_must_be_assigned():
    assert unassigned({"novel.py": "", "novel/a.py": "", "data/novel.py": ""}) == [
        "netsynth/novel.py belongs to no layer: add 'novel' to LAYERS in tests/test_architecture.py",
        "netsynth/novel/a.py belongs to no layer: add 'novel' to LAYERS in tests/test_architecture.py",
    ]


def test_a_ring_is_seen():
    ring = {"data/a.py": "from netsynth.data import b", "data/b.py": "import netsynth.data.a"}
    assert len(rings(ring)) == 2
    ring["data/b.py"] = "def f():\n    import netsynth.data.a"
    assert rings(ring) == []


def test_a_long_file_is_seen():
    sources = {"pool.py": "\n" * (MAX_LINES + 1), "units.py": "\n"}
    assert long(sources, {}) == [
        "netsynth/pool.py has 551 lines: two things live in it, or LONG says why not"
    ]
    assert long(sources, {"pool.py": "reason", "units.py": "reason"}) == [
        "netsynth/units.py is not long: take it out of LONG"
    ]
