"""Toolchains: what is known, what is installed, and a real (tiny) one made without a network."""

import sys
from pathlib import Path

import pytest

from edgex_inference.cli import toolchain as command
from edgex_inference.contracts.errors import SetupError
from edgex_inference.engine.formats import installing
from edgex_inference.engine.formats.checking import versions
from edgex_inference.engine.formats.installing import install
from edgex_inference.engine.formats.toolchains import Toolchains, manifest, python_in
from tests import toolchain_double

SERIES = "{}.{}".format(*sys.version_info[:2])


def quiet(share: float | None, what: str) -> None: ...


def test_every_pin_of_the_manifest_is_exact() -> None:
    for one in manifest().values():
        assert one.requirements, one.name
        assert all("==" in line for line in one.requirements), one.name
        assert one.megabytes > 0


def test_a_toolchain_from_a_wheel_to_its_removal(tmp_path: Path) -> None:
    wheel = toolchain_double.wheel(tmp_path, python=">=3.99")  # which the manifest says does not matter
    pins = f"tinything @ {wheel.as_uri()}\n"
    data = toolchain_double.data(
        tmp_path / "data", python=SERIES, pins=pins, modules="tinything", anyway=True
    )
    toolchains = Toolchains(tmp_path / "home", data)
    with pytest.raises(SetupError, match="edgex-inference toolchain install tiny"):
        toolchains.python("tiny")
    said: list[str] = []
    assert install(toolchains, "tiny", lambda share, what: said.append(f"{share} {what}"))
    assert said[0].startswith("0.0 making an environment")
    assert said[-1] == "1.0 done"
    assert any("tinything" in one for one in said)
    assert versions(toolchains, "tiny") == {"tinything": "1.5"}
    assert not install(toolchains, "tiny", quiet)

    (data / "pins" / "tiny.txt").write_text("tinything==1.6\n")
    assert toolchains.state("tiny") == "outdated"
    with pytest.raises(SetupError, match="by another release"):
        toolchains.python("tiny")
    assert toolchains.remove("tiny")
    assert not toolchains.remove("tiny")
    assert toolchains.state("tiny") == ""


def test_an_install_that_fails_leaves_nothing(tmp_path: Path) -> None:
    data = toolchain_double.data(
        tmp_path / "data", python=SERIES, pins=f"x @ {(tmp_path / 'no.whl').as_uri()}\n"
    )
    toolchains = Toolchains(tmp_path / "home", data)
    with pytest.raises(SetupError, match="tiny could not be installed"):
        install(toolchains, "tiny", quiet)
    assert toolchains.state("tiny") == ""


def test_a_python_that_is_not_here_is_named(tmp_path: Path) -> None:
    toolchains = Toolchains(tmp_path / "home", toolchain_double.data(tmp_path / "data", python="3.99"))
    with pytest.raises(SetupError, match=r"needs Python 3\.99"):
        install(toolchains, "tiny", quiet)
    assert not (tmp_path / "home" / "tiny").exists()


def test_a_python_that_the_last_of_several_lacks_is_said_before_the_first_is_fetched(tmp_path: Path) -> None:
    data = toolchain_double.data(tmp_path / "data", python=SERIES)
    with (data / "manifest.toml").open("a") as more:
        more.write('[late]\nabout = "x"\npython = ["3.99"]\npins = "pins/tiny.txt"\nmodules = []\n')
    toolchains = Toolchains(tmp_path / "home", data)
    with pytest.raises(SetupError, match=r"late needs Python 3\.99 .*none is on the PATH as python3\.99"):
        command._install(toolchains, ["tiny", "late"])
    assert toolchains.state("tiny") == ""


def test_one_that_is_not_whole_is_said_and_replaced(tmp_path: Path) -> None:
    toolchains = Toolchains(tmp_path / "home", toolchain_double.data(tmp_path / "data", python=SERIES))
    python_in(toolchains.folder("tiny")).parent.mkdir(parents=True)
    assert toolchains.state("tiny") == "broken"
    with pytest.raises(SetupError, match="is not whole"):
        toolchains.python("tiny")


@pytest.mark.parametrize("name", ["..", "a/b", ".hidden"])
def test_only_a_toolchain_can_be_removed(name: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no toolchain"):
        Toolchains(tmp_path).remove(name)


def test_a_misspelled_name(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="did you mean sklearn"):
        Toolchains(tmp_path).get("sklern")


@pytest.mark.parametrize("bare", [True, False])
def test_a_bare_toolchain_holds_nothing_but_its_pins(bare: bool, tmp_path: Path) -> None:
    data = toolchain_double.data(tmp_path / "data", python=SERIES)
    with (data / "manifest.toml").open("a") as more:
        more.write(f"bare = {str(bare).lower()}\n")
    toolchain = Toolchains(tmp_path / "home", data).get("tiny")
    python = python_in(tmp_path / "environment")
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    python.chmod(0o755)
    installing._fill(toolchain, tmp_path / "environment", quiet)
    assert ("--no-deps" in (tmp_path / "asked").read_text().split()) is bare
    assert [one.name for one in manifest().values() if one.bare] == ["kaldi"]
