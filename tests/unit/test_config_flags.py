"""EdgeX's flags in Go's spellings."""

import argparse

import pytest

from edgex_inference.config.flags import DEFAULT_PROVIDER, Flags, add_arguments, from_namespace, spell_out


def parsed(*argv: str) -> Flags:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arguments(parser)
    return from_namespace(parser.parse_args(spell_out(argv)))


@pytest.mark.parametrize("spelling", ["-cf", "--cf", "-configFile", "--configFile"])
@pytest.mark.parametrize("joined", [True, False])
def test_texts_in_every_spelling(spelling: str, joined: bool) -> None:
    argv = [f"{spelling}=a=b.toml"] if joined else [spelling, "a=b.toml"]
    assert parsed(*argv) == Flags(config_file="a=b.toml")


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["-cd", "conf", "-p=cam", "-cc", "common.yaml"], Flags(config_dir="conf", profile="cam")),
        (["-r", "-o", "-s", "-d"], Flags(registry=True, overwrite=True, skip_version_check=True, dev=True)),
        (["--registry=true", "--dev=false", "-o=0"], Flags(registry=True)),
        (["-sk", "app-x", "-i", "2"], Flags(service_key="app-x", instance="2")),
        (["-serviceKey=app-<profile>"], Flags(service_key="app-<profile>")),
        (["-rsh", "a,b,c"], Flags(remote_service_hosts="a,b,c")),
        (["--profiles", "p", "--models=m"], Flags(profiles="p", models="m")),
        (["-cp"], Flags(config_provider=DEFAULT_PROVIDER)),
        (["-cp", "-r"], Flags(config_provider=DEFAULT_PROVIDER, registry=True)),
        (["-cp=keeper.http://h:1"], Flags(config_provider="keeper.http://h:1")),
        (["--configProvider=none"], Flags(config_provider="none")),
        (["--configProvider", "consul.http://h:1"], Flags(config_provider="consul.http://h:1")),
    ],
)
def test_what_a_line_means(argv: list[str], expected: Flags) -> None:
    found = parsed(*argv)
    common = "common.yaml" if "-cc" in argv else ""
    assert found == Flags(**{name: getattr(expected, name) for name in _fields()} | {"common_config": common})


def _fields() -> list[str]:
    return [name for name in Flags.__dataclass_fields__ if name not in ("origins", "common_config")]


@pytest.mark.parametrize("argv", [["-x"], ["--registry=maybe"], ["-cf"], ["---cf=x"], ["-cpx"]])
def test_what_nobody_understands_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(*argv)
    assert "error:" in capsys.readouterr().err


def test_other_words_pass_untouched() -> None:
    argv = ["run", "-v", "--seed", "3", "--", "-cf", "x"]
    assert spell_out(argv) == argv


def test_flags_name_themselves_in_messages() -> None:
    assert Flags().origin("config_provider") == "-cp/--configProvider"
    assert Flags().origin("models") == "--models"
    assert Flags(origins={"profile": "EDGEX_PROFILE"}).origin("profile") == "EDGEX_PROFILE"
