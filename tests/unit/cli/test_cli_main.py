"""The command line's entry: commands by name, lazily imported, and every ending as an exit code."""

import errno
import subprocess
import sys
import types

import pytest

from edgex_inference.cli import main as cli
from edgex_inference.contracts.errors import ModelNotFound


def command(monkeypatch: pytest.MonkeyPatch, name: str, run: object) -> None:
    module = types.ModuleType(f"edgex_inference.cli.{name}")
    module.add_arguments = lambda parser: parser.add_argument("--port", type=int)  # type: ignore[attr-defined]
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cli.COMMANDS, name, "does it")


def raising(error: BaseException) -> object:
    def run(_: object) -> int:
        raise error

    return run


def test_a_command_gets_its_arguments_and_gives_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, "probe", lambda args: args.port)
    assert cli.main(["probe", "--port", "7"]) == 7


@pytest.mark.parametrize("argv", [["--port", "3"], ["run", "--port", "3"]])
def test_flags_alone_mean_run(monkeypatch: pytest.MonkeyPatch, argv: list[str]) -> None:
    command(monkeypatch, "run", lambda args: args.port)
    assert cli.main(argv) == 3


def test_nothing_at_all_means_run(monkeypatch: pytest.MonkeyPatch) -> None:
    command(monkeypatch, "run", lambda _: 4)
    assert cli.main([]) == 4


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (ModelNotFound("m", "not in the store"), 1, "edgex-inference: model 'm': not in the store\n"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/models/m"),
            1,
            "edgex-inference: /models/m: Permission denied\n",
        ),
        (OSError("no such device"), 1, "edgex-inference: no such device\n"),
        (TimeoutError(), 1, "edgex-inference: TimeoutError\n"),
        (SystemExit(5), 5, ""),
        (SystemExit("sorry"), 1, ""),
        (SystemExit(None), 0, ""),
    ],
)
def test_every_ending_has_its_exit_code_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    command(monkeypatch, "probe", raising(error))
    assert cli.main(["probe"]) == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["valdate"], "no command 'valdate' (did you mean validate?)"),
        (["validate"], "the following arguments are required"),
        (["validate", "--form", "json", "x"], "unrecognized arguments: --form"),
        (["validate", "--format", "xml", "x"], "invalid choice: 'xml'"),
    ],
)
def test_a_wrong_command_line_is_2(capsys: pytest.CaptureFixture[str], argv: list[str], said: str) -> None:
    assert cli.main(argv) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["help"], ["validate", "--help"]])
def test_help(capsys: pytest.CaptureFixture[str], argv: list[str]) -> None:
    assert cli.main(argv) == 0
    assert "validate" in capsys.readouterr().out


def test_the_version_imports_no_numbers_and_no_commands() -> None:
    script = (
        "import sys\nfrom edgex_inference.cli.main import main\nassert main(['--version']) == 0\n"
        "print([name for name in ('numpy', 'yaml', 'msgspec', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith(("edgex-inference 0.", "edgex-inference 1."))
    assert second == "[]"


def test_a_reader_that_leaves_early_is_no_error_message() -> None:
    script = (
        "import sys\nfrom edgex_inference.cli import main as cli\n"
        "import types\nm = types.ModuleType('edgex_inference.cli.probe')\n"
        "m.add_arguments = lambda parser: None\n"
        "def run(args):\n    while True: print('x' * 1000)\n"
        "m.run = run\nsys.modules[m.__name__] = m\ncli.COMMANDS['probe'] = 'p'\n"
        "sys.exit(cli.main(['probe']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(30) == 141
    assert errors == b""
