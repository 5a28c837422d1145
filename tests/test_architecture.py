"""The house's rules on who may import whom, read off the source without running it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import launch

ROOT = Path(__file__).resolve().parent.parent
OWN = ("app", "engines", "training", "bench", "tests", "launch")
# What terminal commands may do and nothing else: write with print.
TERMINAL = {
    "launch",
    "app.cli.deliveries",
    "app.cli.doctor",
    "app.cli.mic",
    "app.cli.models",
    "app.cli.token",
    "app.cli.tunnel",
}
# What to install for an import: another name, or what brings it along.
DISTRIBUTION = {
    "PIL": "pillow",
    "anyio": "fastapi",
    "dotenv": "pydantic-settings",
    "pydantic": "fastapi",
    "pydantic_core": "fastapi",
    "pydantic_settings": "pydantic-settings",
    "python_multipart": "python-multipart",
    "starlette": "fastapi",
}


def sources(*packages: str) -> dict[str, ast.Module]:
    """Dotted name -> syntax tree."""
    paths = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    paths += [ROOT / "launch.py"] if "launch" in packages else []
    return {_dotted(path): ast.parse(path.read_text()) for path in paths}


def _dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = sources("app", "engines", "launch")


def imports(name: str, *, top_level: bool = False) -> set[str]:
    """What the module imports, dotted, TYPE_CHECKING blocks left out. `top_level`: only what runs on import."""
    found = set()
    for node in _statements(MODULES[name], into_functions=not top_level):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively: write the whole name"
            parent = node.module or ""
            found |= {f"{parent}.{a.name}" if f"{parent}.{a.name}" in MODULES else parent for a in node.names}
    return found


def _statements(tree: ast.AST, *, into_functions: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not into_functions:
            continue
        yield node
        yield from _statements(node, into_functions=into_functions)


def closure(start: str, *, top_level: bool = False) -> set[str]:
    """Everything that importing the module brings in, third parties by their dotted names."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        # A package's __init__ runs before its modules.
        parents = {".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)}
        waiting += parents & set(MODULES)
        waiting += imports(name, top_level=top_level) if name in MODULES else []
    return seen


def outside(names: set[str]) -> set[str]:
    """The third parties among them, by their top package."""
    tops = {name.split(".")[0] for name in names}
    return {top for top in tops if top not in sys.stdlib_module_names and top not in OWN}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.split(".")[0] == "engines"))
def test_engines_know_nothing_of_the_door(name: str) -> None:
    doors = {"app", "launch", "gradio", "gradio_client", "fastapi", "starlette", "uvicorn", "pydantic_settings"}
    assert not {top.split(".")[0] for top in imports(name)} & doors


SHARED = ("errors", "words", "languages", "requests", "results", "events", "limits", "protocols")


@pytest.mark.parametrize("name", [f"engines.{name}" for name in SHARED])
def test_the_words_that_engines_share_need_no_engine(name: str) -> None:
    assert outside(imports(name)) <= {"PIL", "pydantic", "pydantic_core"}
    assert imports(name) & set(MODULES) <= {f"engines.{shared}" for shared in SHARED}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if not name.startswith("engines.sdxl")))
def test_nobody_sees_the_insides_of_the_image_engine(name: str) -> None:
    seen = {other for other in imports(name) if other.startswith("engines.sdxl.")}
    # Its process is started before anything else is imported, and again when it is lost.
    doors = {"app.wiring": {"engines.sdxl.process", "engines.sdxl.start"}, "app.cli.parse": {"engines.sdxl.start"}}
    assert seen <= doors.get(name, set())


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("app")))
def test_the_app_never_imports_its_caller_or_what_does_not_ship(name: str) -> None:
    assert not {top.split(".")[0] for top in imports(name)} & {"launch", "tests", "training", "bench"}


@pytest.mark.parametrize("name", sorted(name for name in MODULES if name.startswith("app")))
def test_only_the_wiring_picks_engines_and_stores(name: str) -> None:
    local = {"engines.speech.vosk_engine", "engines.speech.onnx_engine"}
    concrete = {"engines.sdxl.process", "engines.speech.cloud_run", *local}
    stores = {"app.jobs.store.opening", "app.jobs.store.database"}
    if name.startswith("app.jobs."):
        assert not imports(name) & concrete
    elif name == "app.cli.deliveries":
        # It works beside a studio, on what that has stored.
        assert imports(name) & (concrete | stores) == {"app.jobs.store.database"}
    elif name == "app.vosk":
        # What the wiring and the speech service have in common.
        assert imports(name) & (concrete | stores) == local
    elif name not in ("app.wiring", "app.cli.transcriber"):
        assert not imports(name) & (concrete | stores)


def test_imports_make_no_circle() -> None:
    graph = {name: {other for other in imports(name) if other in MODULES and other != name} for name in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError with the circle


def room(name: str) -> str:
    """The folder that a module belongs to, for who walks through the house: app.jobs, engines.sdxl; files beside them
    are rooms of their own."""
    return ".".join(name.split(".")[:2])


def test_folders_make_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name in MODULES:
        others = {room(other) for other in imports(name) if other in MODULES}
        graph.setdefault(room(name), set()).update(others - {room(name)})
    TopologicalSorter(graph).prepare()


HTTP_MAY_IMPORT = {
    f"app.{name}"
    for name in (
        "about",
        "accounts",
        "concurrency",
        "i18n",
        "jobs",
        "microphone",
        "presets",
        "scopes",
        "signing",
        "studio",
        "work",
    )
}


@pytest.mark.parametrize(
    ("folder", "may_import"),
    [
        ("app.jobs", {"app.concurrency", "app.logs"}),
        ("app.work", {"app.jobs", "app.presets"}),
        ("app.delivery", {"app.jobs", "app.work"}),
        ("app.http", HTTP_MAY_IMPORT),
        ("app.settings", {"app.accounts", "app.tokens"}),
    ],
)
def test_imports_inside_the_app_point_one_way(folder: str, may_import: set[str]) -> None:
    own = {name for name in MODULES if room(name) == folder}
    seen = {room(other) for name in own for other in imports(name) if other in MODULES and other.startswith("app.")}
    assert seen - {folder} <= may_import


def test_what_runs_before_the_setup_needs_the_standard_library_only() -> None:
    assert outside(closure("launch", top_level=True)) == set()


@pytest.mark.parametrize("command", ["app.cli.tunnel", "app.cli.doctor"])
def test_what_has_to_work_without_the_setup_needs_the_standard_library_only(command: str) -> None:
    assert outside(closure(command, top_level=True)) == set()


def test_launch_parses_on_an_old_python() -> None:
    ast.parse((ROOT / "launch.py").read_text(), feature_version=(3, 6))


def test_the_transcriber_needs_what_its_container_carries() -> None:
    # The doors are imported in a function; the engine starts its worker as a process, not by import.
    started = closure("app.cli.transcriber", top_level=True) | closure("app.http.apps", top_level=True)
    assert "app.http.apps" in imports("app.cli.transcriber")
    used = outside(started | closure("engines.speech.worker"))
    assert not used & {"torch", "gradio", "diffusers", "transformers", "compel"}
    # uvicorn is told the name of its WebSocket protocol, and imports what that needs.
    assert {DISTRIBUTION.get(top, top) for top in used} | {"websockets"} == launch.TRANSCRIBER_NEEDS


def test_the_studio_never_reaches_what_makes_pictures() -> None:
    """A process beside it does, which is started by its name. tests/test_processes.py looks at both."""
    makers = {f"engines.sdxl.{name}" for name in ("engine", "libraries", "load", "generate", "worker")}
    assert makers <= closure("engines.sdxl.worker")
    assert not closure("app.cli.serve") & makers
    assert not outside(closure("engines.sdxl.start"))


def test_taking_the_port_needs_no_heavy_package() -> None:
    heavy = {"torch", "gradio", "fastapi", "diffusers", "transformers", "numpy", "PIL", "vosk", "av"}
    assert not outside(closure("app.cli.serve", top_level=True) | closure("app.settings.fields")) & heavy


@pytest.mark.parametrize("name", sorted(MODULES))
def test_only_terminal_commands_print(name: str) -> None:
    called = {ast.unparse(node.func) for node in ast.walk(MODULES[name]) if isinstance(node, ast.Call)}
    assert name in TERMINAL or "print" not in called


@pytest.mark.parametrize("name", sorted(MODULES))
def test_nothing_is_started_at_import(name: str) -> None:
    """Threads, processes, servers: made in functions that somebody calls."""
    starters = {"Thread", "Timer", "Popen", "run", "start", "basicConfig", "ThreadPoolExecutor", "ProcessPoolExecutor"}
    top = [node for node in _statements(MODULES[name], into_functions=False) if not _in_main_guard(MODULES[name], node)]
    called = {ast.unparse(node.func).split(".")[-1] for node in top if isinstance(node, ast.Call)}
    assert not called & starters


def _in_main_guard(tree: ast.Module, node: ast.AST) -> bool:
    guards = [item for item in tree.body if isinstance(item, ast.If) and "__main__" in ast.dump(item.test)]
    return any(node in list(ast.walk(guard)) for guard in guards)
