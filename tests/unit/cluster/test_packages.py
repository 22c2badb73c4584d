"""The list of packages in pyproject.toml against the folders on disk."""

import tomllib
from pathlib import Path

import redline.cluster

ROOT = Path(__file__).parents[3]
SUFFIXES = {".yaml", ".ebnf", ".json", ".safetensors", ".html", ".css", ".js"}
ROOMS = ("dsl", "sandbox", "replay", "actors", "learner", "cluster")


def setuptools_table():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def test_every_package_on_disk_is_listed_with_its_folder():
    on_disk = {
        str(path.parent.relative_to(ROOT))
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    table = setuptools_table()
    assert sorted(table["packages"]) == sorted(f"redline.{p.replace('/', '.')}" for p in on_disk)
    assert table["package-dir"] == {f"redline.{p.replace('/', '.')}": p for p in on_disk}


def test_what_is_no_python_is_packaged_too():
    data = setuptools_table()["package-data"]
    wanted = {
        path
        for room in ROOMS
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    }
    packaged = {
        path
        for package, patterns in data.items()
        for pattern in patterns
        for path in (ROOT / package.removeprefix("redline.").replace(".", "/")).glob(pattern)
    }
    assert wanted <= packaged


def test_the_package_is_imported_from_this_tree_or_a_wheel_of_it():
    found = Path(redline.cluster.__file__).parent
    assert {p.name for p in found.glob("*.py")} == {p.name for p in (ROOT / "cluster").glob("*.py")}
