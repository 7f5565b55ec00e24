"""Which files a module runs, on a package whose imports are known, and on the networks."""

import subprocess
import sys
from pathlib import Path

import pytest

from chimera.files.imports import imported_files
from chimera.interface.errors import InputError

SOURCES = {
    "__init__.py": "",
    "entry.py": """
        import json
        import toy.plain
        from toy.names import value
        from toy import sibling
        from toy.room import inside

        def later():
            from toy.deep.deferred import thing
        """,
    "plain.py": "raise RuntimeError('reading imports runs nothing')",
    "names.py": "from toy.cycle import other",
    "cycle.py": "import toy.names",
    "sibling.py": "",
    "room/__init__.py": "from toy.attached import wall",
    "room/inside.py": "",
    "room/neighbour.py": "",
    "attached.py": "",
    "deep/__init__.py": "",
    "deep/deferred.py": "import os.path as toy_path",
    "unused.py": "import toy.entry",
}
ENTRY = {
    "toy": "__init__.py",
    "toy.attached": "attached.py",
    "toy.cycle": "cycle.py",
    "toy.deep": "deep/__init__.py",
    "toy.deep.deferred": "deep/deferred.py",
    "toy.entry": "entry.py",
    "toy.names": "names.py",
    "toy.plain": "plain.py",
    "toy.room": "room/__init__.py",
    "toy.room.inside": "room/inside.py",
    "toy.sibling": "sibling.py",
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Return the folder of a package whose modules import each other in every way."""
    for name, source in SOURCES.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = source.splitlines()
        path.write_text("\n".join(line.removeprefix(" " * 8) for line in lines))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "toy"
    sys.modules.pop("toy", None)


def test_every_way_of_importing_is_followed_and_nothing_runs(toy):
    assert imported_files("toy.entry", "toy") == {name: toy / path for name, path in ENTRY.items()}
    assert not [name for name in sys.modules if name.startswith("toy.")]


def test_a_package_is_followed_from_its_own_file(toy):
    assert imported_files("toy", "toy") == {"toy": toy / "__init__.py"}
    assert set(imported_files("toy.room.inside", "toy")) == {
        "toy",
        "toy.attached",
        "toy.room",
        "toy.room.inside",
    }
    assert set(imported_files("toy.room.inside", "toy.room")) == {"toy.room", "toy.room.inside"}


def test_other_packages_are_left_out(toy):
    (toy / "entry.py").write_text("import toys\nfrom numpy import array\nimport toyota.names\n")
    assert list(imported_files("toy.entry", "toy")) == ["toy", "toy.entry"]


def test_an_import_relative_to_its_package_is_followed(toy):
    (toy / "room/inside.py").write_text("from .neighbour import x\nfrom ..names import value\n")
    (toy / "room/__init__.py").write_text("from . import neighbour\nfrom .. import sibling\n")
    assert set(imported_files("toy.room.inside", "toy")) == {
        "toy",
        "toy.cycle",
        "toy.names",
        "toy.room",
        "toy.room.inside",
        "toy.room.neighbour",
        "toy.sibling",
    }


def test_what_is_no_package_or_no_python_is_one_sentence(toy):
    with pytest.raises(InputError, match=r"^toys is not a package, expected one that can be"):
        imported_files("toys.entry", "toys")
    with pytest.raises(InputError, match=r"^toy\.plain is not a package"):
        imported_files("toy.plain.x", "toy.plain")
    (toy / "names.py").write_text("x = 1\nfrom toy import\n")
    with pytest.raises(InputError, match=r"names\.py is not Python: line 2: "):
        imported_files("toy.entry", "toy")


NETWORKS = "chimera.models.networks"


def test_a_network_holds_what_it_is_made_of():
    unet, fractal = (imported_files(f"{NETWORKS}.{n}", "chimera") for n in ("unet", "fractal_unet"))
    assert f"{NETWORKS}.fractal_unet" not in unet
    assert set(unet) < set(fractal)
    assert set(fractal) - set(unet) == {f"{NETWORKS}.fractal_unet"}
    assert {f"{NETWORKS}.{part}" for part in ("layers", "padding", "periodic", "site")} < set(unet)


@pytest.mark.parametrize("module", [f"{NETWORKS}.fractal_unet", "chimera.training.loop"])
def test_every_module_that_is_loaded_is_named(module):
    """What Python itself loads of the package lies in what the imports name."""
    script = f"""if True:
        import sys, {module}
        for name, module in sorted(sys.modules.items()):
            if name.startswith("chimera"):
                print(name, module.__file__)
        """
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout
    found = imported_files(module, "chimera")
    assert {name: found.get(name) for name in loaded.split()[::2]} == {
        name: Path(file) for name, file in zip(*[iter(loaded.split())] * 2, strict=True)
    }
