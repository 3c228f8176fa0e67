"""EdgeX's flags in Go's spellings."""

import argparse

import pytest

from edgex_inference.config.flags import (
    DEFAULT_PROVIDER,
    Flags,
    Provider,
    add_arguments,
    from_namespace,
    provider_of,
    spell_out,
)


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
        (["-f", "old.toml", "-c=res"], Flags(config_file="old.toml", config_dir="res")),
        (["--file=old.toml", "--confdir", "res"], Flags(config_file="old.toml", config_dir="res")),
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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("NONE", None),
        (DEFAULT_PROVIDER, Provider("keeper", "http://localhost:59890")),
        ("consul.https://edgex-core-consul:8500/", Provider("consul", "https://edgex-core-consul:8500")),
        ("KEEPER.HTTP://[::1]:1", Provider("keeper", "http://[::1]:1")),
    ],
)
def test_providers(text: str, found: Provider | None) -> None:
    assert provider_of(Flags(config_provider=text)) == found


@pytest.mark.parametrize(
    "text", ["http://h:1", "keeper.http://h", "etcd.http://h:1", "keeper.http://h:1/x?y"]
)
def test_what_is_no_provider(text: str) -> None:
    with pytest.raises(ValueError, match="is no provider such as"):
        provider_of(Flags(config_provider=text))


def test_remote_hosts_move_the_provider() -> None:
    flags = Flags(config_provider=DEFAULT_PROVIDER, remote_service_hosts="me,edge,0.0.0.0")
    assert provider_of(flags) == Provider("keeper", "http://edge:59890")


def test_help_lists_every_flag_in_both_spellings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")
    text = " ".join(capsys.readouterr().out.split())
    for short, long in (
        ("cp", "configProvider"),
        ("cc", "commonConfig"),
        ("cf", "configFile"),
        ("cd", "configDir"),
        ("p", "profile"),
        ("r", "registry"),
        ("o", "overwrite"),
        ("d", "dev"),
        ("rsh", "remoteServiceHosts"),
        ("s", "skipVersionCheck"),
        ("sk", "serviceKey"),
        ("i", "instance"),
        ("h", "help"),
    ):
        assert f"-{short}" in text
        assert f"--{long}" in text
    assert "in EdgeX 2 -f/--file" in text
    assert "in EdgeX 2 -c/--confdir" in text
