"""What AWS documents of its behaviour, and what was observed, side by side.

On the embedded target some agreement is only the echo of a correction, which was made after the same page: it is called
restored, and proves nothing about AWS. Where the rows come from and how sure they are: data/reference/README.md.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from workbook import targets
from workbook.errors import ParameterError
from workbook.records import Provenance

TABLE = Path(__file__).resolve().parent.parent / "data" / "reference" / "behaviours.csv"


def documented(subject: str) -> pd.DataFrame:
    """Return one row per behaviour of a subject: its `case`, `where` it shows, and what is `documented` of it.

    `restored_by` names the emulator's correction that supplies it on the embedded target. `sure` is how sure the row is:
    high, medium or low. `documented` is missing where no source says anything.

    Raises:
        ParameterError: there is no such subject.
    """
    table = pd.read_csv(TABLE, dtype="string")
    if subject not in set(table["subject"]):
        raise ParameterError(
            f"Nothing is documented here about {subject!r}.",
            why="Observations are laid beside what AWS says of the same subject.",
            fix=f"The subjects are: {', '.join(table['subject'].unique())}.",
        )
    rows = table[table["subject"] == subject].drop(columns="subject").reset_index(drop=True)
    sure = rows["note"].str.extract(r"^confidence=(\w+)", expand=False)
    return rows.assign(sure=sure, provenance=str(Provenance.DOCUMENTED))


def beside(subject: str, observed: Mapping[tuple[str, str], str], target: targets.Target) -> pd.DataFrame:
    """Return what was observed at a target beside what is documented, a row per observation, in the order of the table.

    `observed` maps a case and where it was tried to what was seen, in the table's words. `agrees` is yes or no; restored
    where the agreement is that of a correction with the page that it was made after; or "not documented".

    Raises:
        ParameterError: there is no such subject, or no such case of it.
    """
    rows = documented(subject)
    known = list(zip(rows["case"], rows["where"], strict=True))
    if unknown := sorted(observed.keys() - set(known)):
        raise ParameterError(
            f"{unknown[0]!r} is no case of {subject!r}.",
            why="It has nothing to be laid beside.",
            fix=f"Add it to {TABLE.name}, or use one of its cases: {', '.join(rows['case'].unique())}.",
        )
    rows = rows[[place in observed for place in known]].reset_index(drop=True)
    seen = [observed[case, where] for case, where in zip(rows["case"], rows["where"], strict=True)]
    corrected = rows["restored_by"].notna() & targets.is_started_here(target.name)
    agrees = (rows["documented"] == pd.Series(seen, dtype="string")).map({True: "yes", False: "no"}).astype("string")
    agrees = agrees.mask((agrees == "yes") & corrected, "restored").mask(rows["documented"].isna(), "not documented")
    rows = rows.assign(observed=seen, agrees=agrees, provenance=str(target.provenance))
    return rows[
        ["case", "where", "documented", "observed", "agrees", "restored_by", "sure", "provenance", "source_url"]
    ]
