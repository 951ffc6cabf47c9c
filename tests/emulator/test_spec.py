"""What a handler sees around it: variables, folders, layers."""

import re
from pathlib import Path

import pytest
from trials import MakeEnvironment, answer, invoke


def test_the_variables_are_the_documented_ones(
    make_environment: MakeEnvironment, python_client: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """A handler has AWS's variables, the function's and those few that stand for AWS's machine; none of the shell's."""
    for name in ("AWS_PROFILE", "HTTP_PROXY", "PYTHONPATH", "VIRTUAL_ENV", "WORKBOOK_RUN_FOLDER"):
        monkeypatch.setenv(name, "leaked")
    one = make_environment(
        "import os\ndef handler(event, context): return dict(os.environ)",
        variables={"TABLE": "orders", "_HANDLER": "forged", "LANG": "C.UTF-8"},
    )
    one.start()

    seen = answer(invoke(one))
    seen.pop("LC_CTYPE", None)  # Python's own, where the machine lacks the locale
    folder = seen["TMPDIR"]

    assert folder.startswith(f"{tmp_path}/scratch/")
    assert f"{one.spec.code_folder}" in seen.pop("LD_LIBRARY_PATH").split(":")
    assert "clean-room" in seen.pop("LAMBDA_RUNTIME_DIR")
    assert re.fullmatch(r"127\.0\.0\.1:\d+", seen.pop("AWS_LAMBDA_RUNTIME_API"))
    assert {
        "AWS_ACCESS_KEY_ID": "ASIAX",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
        "AWS_LAMBDA_LOG_STREAM_NAME": one.log_stream,
        "AWS_REGION": "us-east-1",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
        "HOME": folder,
        "LAMBDA_TASK_ROOT": str(one.spec.code_folder),
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "TABLE": "orders",
        "TMPDIR": folder,
        "TZ": ":UTC",
        "_HANDLER": "app.handler",
    } == seen


def test_a_function_may_choose_its_own_endpoint(make_environment: MakeEnvironment):
    """The function's own AWS_ENDPOINT_URL wins over the emulator's."""
    one = make_environment(
        "import os\ndef handler(event, context): return os.environ['AWS_ENDPOINT_URL']",
        variables={"AWS_ENDPOINT_URL": "http://elsewhere"},
    )
    one.start()

    assert "http://elsewhere" == answer(invoke(one))


def test_the_code_is_the_working_directory_and_stays_as_it_is(make_environment: MakeEnvironment):
    """A handler runs in its own folder and leaves nothing there, not even bytecode."""
    one = make_environment("import os\ndef handler(event, context): return os.getcwd()")
    one.start()

    assert str(one.spec.code_folder) == answer(invoke(one))
    assert ["app.py"] == [file.name for file in one.spec.code_folder.iterdir()]


def test_handlers_have_no_input(make_environment: MakeEnvironment):
    """Reading stdin ends at once."""
    one = make_environment("import sys\ndef handler(event, context): return sys.stdin.read()")
    one.start()

    assert "" == answer(invoke(one))


def test_layers_are_importable(make_environment: MakeEnvironment, tmp_path: Path):
    """A module in a layer's python folder can be imported, and a program in its bin folder found."""
    (tmp_path / "opt" / "python").mkdir(parents=True)
    (tmp_path / "opt" / "python" / "shared.py").write_text("value = 42")
    one = make_environment(
        "import os, shared\ndef handler(event, context): return [shared.value, os.environ['PATH'].split(':')[-1]]",
        layers=tmp_path / "opt",
    )
    one.start()

    assert [42, f"{tmp_path}/opt/bin"] == answer(invoke(one))
