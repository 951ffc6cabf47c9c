"""Runs: papermill over the notebooks, into a run folder."""

import sys

# An optional grammar that jsonschema loads if it is there, for 1.5 s. Notebook files need jsonschema, but not that.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

from workbook.runs.cleaning import clean  # noqa: E402 - the line above has to come first
from workbook.runs.folder import Outcome, RunFolder, Status  # noqa: E402
from workbook.runs.notebook import Answers  # noqa: E402
from workbook.runs.runner import Report, Request, planned, run, spent  # noqa: E402

__all__ = ["Answers", "Outcome", "Report", "Request", "RunFolder", "Status", "clean", "planned", "run", "spent"]
