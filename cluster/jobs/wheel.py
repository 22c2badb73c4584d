"""This very release of redline as a wheel, whichever way it was installed.

Ray installs the wheels of a job with pip into a folder of their own, dependencies included. These
have to come with the cluster (torch and vLLM take gigabytes), so this wheel asks for none. Ray also
knows a wheel by its file name alone and would serve an older one of the same name: the name holds a
hash of the content, as a build tag.
"""

import base64
import hashlib
import importlib.metadata
import importlib.util
import zipfile
from collections.abc import Iterator
from pathlib import Path

_DISTRIBUTION = "redline-rl"
_ROOMS = ("actors", "cluster", "dsl", "learner", "replay", "sandbox")
_MADE = (1980, 1, 1, 0, 0, 0)
"""Time of every file in the wheel, so that the same content makes the same wheel."""


def pack_wheel(folder: Path) -> Path:
    """Write the wheel into a folder and return its path."""
    files = dict(_package_files())
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    version, build = _version(), f"0g{digest.hexdigest()[:12]}"
    about = f"redline_rl-{version}.dist-info"
    files[f"{about}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {_DISTRIBUTION}\nVersion: {version}\n"
        "Requires-Python: >=3.11\n"
    ).encode()
    files[f"{about}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: redline\nRoot-Is-Purelib: true\n"
        f"Tag: py3-none-any\nBuild: {build}\n"
    ).encode()
    files[f"{about}/RECORD"] = _record(files, f"{about}/RECORD")
    path = folder / f"redline_rl-{version}-{build}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _MADE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return path


def _package_files() -> Iterator[tuple[str, bytes]]:
    """Name in the wheel and content of every file of the package, in a fixed order."""
    for room in _ROOMS:
        spec = importlib.util.find_spec(f"redline.{room}")
        if spec is None or not spec.submodule_search_locations:
            raise FileNotFoundError(f"redline.{room} is not installed as files")
        root = Path(spec.submodule_search_locations[0])
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield f"redline/{room}/{path.relative_to(root).as_posix()}", path.read_bytes()


def _record(files: dict[str, bytes], own_name: str) -> bytes:
    """RECORD: name, hash and size of every file but itself (PEP 376)."""
    lines = []
    for name, content in files.items():
        hashed = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={hashed},{len(content)}\n")
    return "".join([*lines, f"{own_name},,\n"]).encode()


def _version() -> str:
    try:
        return importlib.metadata.version(_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "0"
