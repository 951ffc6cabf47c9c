"""A finished run on AWS becomes a file that can be given away; whatever else doesn't."""

import json
import shutil
from pathlib import Path

import pytest
import rehearsals

from workbook import contribution, measured, runs
from workbook.cli import main
from workbook.errors import ParameterError
from workbook.records import append_line, read_lines, read_records


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """The folder of a rehearsal of lesson 02: a real run on the target aws, but that an emulator answered."""
    folder = tmp_path_factory.mktemp("rehearsed")
    with rehearsals.account(folder) as emulator, pytest.MonkeyPatch.context() as shell:
        for name, value in rehearsals.principal(emulator).items():
            shell.setenv(name, value)
        report = runs.run(only=("02",), target="aws", quick=True, out=folder / "run")
    assert 0 == report.exit_status
    return folder / "run"


@pytest.fixture
def run(rehearsed, tmp_path) -> Path:
    """A copy of that folder that says that AWS itself answered."""
    folder = Path(shutil.copytree(rehearsed, tmp_path / "results" / "run"))
    rewrite(folder, provenance="measured")
    return folder


def rewrite(folder: Path, **columns: object) -> None:
    """Give every record of a run other values in some columns."""
    for path in folder.glob("records/*.jsonl"):
        rows = read_lines(path)
        path.unlink()
        for row in rows:
            append_line(path, row | columns)


def retell(folder: Path, change) -> None:
    """Change what the run says of itself."""
    facts = json.loads((folder / "run.json").read_text())
    change(facts)
    (folder / "run.json").write_text(json.dumps(facts))


def test_a_run_becomes_a_table_in_a_lesson(run, tmp_path, capsys):
    """From the run folder to the file, from the file to the table: no call is lost, and no figure changed."""
    out = tmp_path / "measured" / "mine.csv"

    assert 0 == main(["contribute", str(run), "--out", str(out)])

    records = read_records(run / "records/02_front_door.jsonl")
    calls = measured.calls(out.parent)
    assert [round(record.client_ms, 3) for record in records] == calls["client_ms"].to_list()
    assert [record.temperature for record in records] == calls["temperature"].to_list()
    assert len({record.environment for record in records if record.environment}) == calls["environment"].nunique()
    doors = measured.doors(out.parent)
    assert {"HTTP API 1.0", "HTTP API 2.0", "HTTP API 2.0 (again)", "REST API", "function URL"} == set(doors["variant"])
    assert ({rehearsals.REGION}, {"measured"}) == (set(doors["region"]), set(doors["provenance"]))
    assert 1 == len(measured.rest_against_http(out.parent))
    said = capsys.readouterr().out
    assert f"{len(records)} calls of 02_front_door" in said
    assert '"REST API"' in said
    assert "CC0-1.0" in said


def test_a_contribution_names_nobody(run, tmp_path):
    """Of account, run, functions, requests and environments nothing is in the file, nor a time of day."""
    text = contribution.contribute(run, out=tmp_path / "mine.csv", say=str).read_text()

    (records, facts) = (read_records(run / "records/02_front_door.jsonl"), json.loads((run / "run.json").read_text()))
    own = {rehearsals.ACCOUNT_ID, facts["run_id"], facts["git"]["revision"], "wb-", "T0", ":"}
    for record in records:
        own |= {record.function, record.request_id, record.environment, record.started_at} - {None}
    assert len(own) > 20
    assert [] == [one for one in own if one in text]


def test_the_newest_run_on_aws_is_the_one(run, tmp_path, monkeypatch):
    """Without a folder; the file is named after day, region and content, and lies where lessons look."""
    monkeypatch.setattr(measured, "FOLDER", tmp_path / "measured")
    (tmp_path / "results" / "newer").mkdir()
    (tmp_path / "results" / "newer" / "run.json").write_text('{"target": "embedded"}')

    path = contribution.contribute(results=tmp_path / "results", say=str)

    assert tmp_path / "measured" == path.parent
    assert path.name.startswith(f"{json.loads((run / 'run.json').read_text())['started'][:10]}-{rehearsals.REGION}-")
    with pytest.raises(ParameterError, match="is there already"):
        contribution.contribute(results=tmp_path / "results", say=str)


def test_a_rehearsal_is_refused(rehearsed, tmp_path):
    """An emulator's numbers are never given away as AWS's."""
    with pytest.raises(ParameterError, match="holds numbers that are emulated, as those of a rehearsal are"):
        contribution.contribute(rehearsed, out=tmp_path / "mine.csv")
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda facts: facts.update(target="embedded"), "was on the target embedded, not on aws"),
        (lambda facts: facts.update(finished=None), "has not finished"),
        (lambda facts: facts["notebooks"][0].update(status="failed"), "failed: 02_front_door is failed"),
        (lambda facts: facts["notebooks"][0].update(status="interrupted"), "failed: 02_front_door is interrupted"),
        (lambda facts: facts["notebooks"].clear(), "has no records"),
    ],
)
def test_what_is_no_whole_run_on_aws_is_refused(run, tmp_path, change, reason):
    """One sentence says why, and nothing is written."""
    retell(run, change)

    with pytest.raises(ParameterError, match=reason):
        contribution.contribute(run, out=tmp_path / "mine.csv")
    assert not (tmp_path / "mine.csv").exists()


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"variant": f"in {rehearsals.ACCOUNT_ID}"}, "would name this run, account, user or machine"),
        ({"variant": "mine", "function": "mine"}, "would name this run, account, user or machine"),
        ({"variant": "arn:aws:s3:::photos"}, "variant holds what looks like an ARN"),
        ({"experiment": "x" * 81}, "not a label of at most 80 characters"),
    ],
)
def test_a_label_that_names_somebody_is_refused(run, tmp_path, columns, reason):
    """A learner's own label can say anything; in a contribution it can't."""
    rewrite(run, **columns)

    with pytest.raises(ParameterError, match=reason):
        contribution.contribute(run, out=tmp_path / "mine.csv")
    assert ["results"] == [path.name for path in tmp_path.iterdir()]


def test_of_an_error_only_its_kind_is_given_away(run, tmp_path):
    """What AWS adds to it may hold an address."""
    rewrite(run, error_type="AccessDeniedException:http://internal.amazon.com/", counts_as="error", status=403)

    contribution.contribute(run, out=tmp_path / "measured" / "mine.csv", say=str)

    assert {"AccessDeniedException"} == set(measured.calls(tmp_path / "measured")["error_type"])


def test_without_a_run_on_aws_there_is_nothing_to_give(tmp_path):
    """It says so, and what to do."""
    with pytest.raises(ParameterError, match=r"There is no run on AWS in .*--target aws"):
        contribution.contribute(results=tmp_path)
