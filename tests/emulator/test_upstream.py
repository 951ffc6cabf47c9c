"""`make upstream` says for each correction whether the newest MiniStack still needs it, whatever that one does."""

from pathlib import Path

import pytest

from workbook.emulator import upstream
from workbook.errors import SetupError
from workbook.targets import Target

TARGET = Target("embedded", "http://127.0.0.1:1")


def broken(target: Target) -> bool:
    """Fail as a probe does on a release that answers otherwise than expected."""
    raise KeyError("Payload")


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (lambda _: False, "still needed"),
        (lambda _: True, "no longer needed"),
        (broken, "probe failed: KeyError('Payload')"),
    ],
)
def test_verdicts(monkeypatch: pytest.MonkeyPatch, probe: object, expected: str) -> None:
    """A probe that sees AWS's behaviour makes its correction unnecessary; a failing probe is reported, not raised."""
    monkeypatch.setitem(upstream.PROBES, "log_streams", probe)
    assert expected == upstream.verdict("log_streams", TARGET)


def test_the_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One line a correction, under the version that was asked; here the installed one stands for the newest."""
    monkeypatch.setattr(upstream, "install_newest", lambda folder: Path(upstream.sys.executable))
    upstream.main()
    title, *lines = capsys.readouterr().out.splitlines()
    assert "MiniStack 1.5.33, as it is:" == title
    assert [correction.name for correction in upstream.CORRECTIONS] == [line.split()[0] for line in lines]
    assert all("still needed" in line for line in lines)


def test_without_a_package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pip finds nothing the error says so in a sentence, with pip's own reason."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(SetupError, match=r"could not be installed: .*ministack.* Check the network"):
        upstream.install_newest(tmp_path)
