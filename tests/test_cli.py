"""What is typed, and what becomes the exit status."""

import io
import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import small_notebooks
from fake_localstack import found

from workbook import runs
from workbook.cli import main
from workbook.costs import Scenario, bill
from workbook.targets import Target


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    """The folder that a test writes its notebooks into; they ask LocalStack for nothing, so it counts as tried."""
    for name, value in found().items():
        monkeypatch.setenv(name, value)
    return tmp_path / "notebooks"


def test_help_names_every_command_and_option_and_gives_examples(capsys):
    """Whoever types --help sees all that there is."""
    shown = ""
    for arguments in (["--help"], ["run", "--help"], ["cost", "--help"], ["contribute", "--help"]):
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
        shown += capsys.readouterr().out

    for word in ("run", "clean", "contribute", "doctor", "cost", "lab", "examples:"):
        assert word in shown
    for option in (
        "--only",
        "--target",
        "--quick",
        "--set",
        "--answers",
        "--notebooks",
        "--jobs",
        "--cell-limit",
        "--out",
        "--resume",
        "--json",
    ):
        assert option in shown


def test_help_and_doctor_start_without_the_heavy_packages():
    """Both answer at once, and the doctor also where nothing is installed."""
    code = "import sys, workbook.cli; print(sorted({'pandas', 'papermill', 'boto3', 'psutil'} & sys.modules.keys()))"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == answer.stdout.strip()


def test_a_run_succeeds_only_if_nothing_failed(tmp_path, notebooks, capsys):
    """Status 0 for a success, 1 for a failure, and the table says which notebook it was."""
    small_notebooks.write(notebooks, "01_good", "1")
    small_notebooks.write(notebooks, "02_bad", "assert repeats == 4, 'three repeats'")
    common = ["run", "--notebooks", str(notebooks), "--target", "localstack"]

    assert 1 == main([*common, "--out", str(tmp_path / "one")])
    assert "AssertionError: three repeats" in capsys.readouterr().out
    assert 0 == main([*common, "--out", str(tmp_path / "two"), "--only", "01"])
    assert 0 == main([*common, "--out", str(tmp_path / "three"), "--set", "repeats=4", "--set", "seed=2", "--quick"])
    facts = json.loads((tmp_path / "three/run.json").read_text())
    assert ({"repeats": "4", "seed": "2"}, True) == (facts["parameters"], facts["quick"])


def test_a_wrong_command_line_is_a_sentence_and_status_2(notebooks, capsys):
    """No traceback, what is wrong, and what there is."""
    small_notebooks.write(notebooks, "01_good")

    assert 2 == main(["run", "--notebooks", str(notebooks), "--only", "7"])
    said = capsys.readouterr().err
    assert said.startswith("workbook: No notebook in ")
    assert "Choose from: 01_good." in said


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--set", "repeats"],
        ["run", "--jobs", "-1"],
        ["run", "--target", "moon"],
        *(["run", "--only", "nothing", "--cell-limit", limit] for limit in ("0", "-1", "0.5", "nan", "inf", "soon")),
        [],
    ],
)
def test_what_argparse_can_tell_it_tells(arguments, capsys):
    """A setting without a value, a negative count, an unknown target, a limit that isn't one, no command at all."""
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage:" in capsys.readouterr().err


def test_what_the_encoding_of_the_output_lacks_is_a_question_mark(tmp_path, notebooks, monkeypatch):
    """A terminal that only knows ASCII sees the whole report."""
    small_notebooks.write(notebooks, "01_bad", "1 / 0")
    screen = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(screen, "ascii"))

    assert 1 == main(["run", "--notebooks", str(notebooks), "--target", "localstack", "--out", str(tmp_path / "run")])
    assert "?? 01_bad ??" in screen.getvalue().decode("ascii")


def test_the_targets_on_the_command_line_are_targets(capsys):
    """The choices of --target are those that the targets module knows."""
    with pytest.raises(SystemExit):
        main(["run", "--target", "?"])
    choices = capsys.readouterr().err.partition("(choose from ")[2].strip().rstrip(")")

    for name in choices.replace("'", "").split(", "):
        assert Target(name, endpoint=None).capabilities is not None


def test_clean_keeps_as_many_as_it_is_told(monkeypatch):
    """--keep reaches the cleaning, whose refusal becomes the exit status."""
    kept = []
    monkeypatch.setattr(runs, "clean", lambda keep, **_: kept.append(keep) or keep == 0)

    assert [0, 1] == [main(["clean"]), main(["clean", "--keep", "3"])]
    assert [0, 3] == kept


def test_clean_is_told_where_and_whose(monkeypatch):
    """What is asked of an account reaches the cleaning, and makes no sense without one."""
    asked = []
    monkeypatch.setattr(runs, "clean", lambda **options: asked.append(options) or True)
    main(["clean", "--target", "aws", "--expired", "--everyone"])

    assert [{"keep": 0, "target": "aws", "expired": True, "everyone": True}] == asked
    monkeypatch.undo()
    assert [2, 2] == [main(["clean", "--expired"]), main(["clean", "--everyone", "--target", "embedded"])]


def test_doctor_prints_a_table_or_json(capsys):
    """The same lanes for a reader and for a program; the exit status says whether one failed."""
    status = main(["doctor", "--json"])
    facts = json.loads(capsys.readouterr().out)

    assert status == main(["doctor"])
    table = capsys.readouterr().out
    assert (not facts["ready"]) == bool(status)
    assert len(facts["lanes"]) > 5
    assert all(lane["name"] in table for lane in facts["lanes"])


EXAMPLE = Path(__file__).parent.parent / "docs" / "api.json"


def test_cost_prints_a_table_or_json(capsys):
    """The same bill for a reader and for a program, with the digits that its amounts have."""
    priced = bill(Scenario.parse(json.loads(EXAMPLE.read_text(), parse_float=Decimal)))

    assert (0, 0) == (main(["cost", str(EXAMPLE)]), main(["cost", str(EXAMPLE), "--json"]))
    table, brace, facts = capsys.readouterr().out.partition("{\n")
    assert f"{priced}\n" == table
    assert priced.to_facts() == json.loads(brace + facts, parse_float=Decimal)


def test_cost_answers_without_pandas():
    """A bill needs neither the tables' library nor anything of AWS's."""
    code = (
        "import sys; from workbook.cli import main; main(sys.argv[1:]);"
        "print(sorted({'pandas', 'numpy', 'boto3', 'papermill'} & sys.modules.keys()))"
    )

    answer = subprocess.run(
        [sys.executable, "-c", code, "cost", str(EXAMPLE)], capture_output=True, text=True, check=True
    )

    assert "[]" == answer.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "No such file"),
        ("", "no JSON that can be read"),
        ("{'region': 1}", "no JSON that can be read"),
        ("\udcff", "can't decode byte"),
        ("[" * 100_000, "no JSON that can be read"),
        ('{"duration_ms": 1e99999999999999999999}', "a number beyond all bounds"),
        ("[]", "can't describe the scenario"),
        ('{"region": "us-east-1"}', "lacks requests_per_month, memory_mb, duration_ms"),
        (EXAMPLE.read_text().replace("42.5", "NaN"), "duration_ms in the scenario is nan"),
        (EXAMPLE.read_text().replace("42.5", "true"), "duration_ms in the scenario is True"),
    ],
    ids=["missing", "empty", "no JSON", "no text", "deep", "endless", "list", "incomplete", "NaN", "bool"],
)
def test_a_scenario_that_cant_be_priced_is_a_sentence_and_status_2(tmp_path, capsys, content, expected):
    """No traceback, whatever the file holds: what is wrong, why it matters, and what to do."""
    scenario = tmp_path / "api.json"
    if content is not None:
        scenario.write_text(content, encoding="utf-8", errors="surrogateescape")

    assert 2 == main(["cost", str(scenario)])
    out, err = capsys.readouterr()
    assert ("", 1) == (out, err.count("\n"))
    assert err.startswith("workbook: ")
    assert expected in err
