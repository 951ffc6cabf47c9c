"""Runs: papermill over the notebooks, into a run folder."""

from workbook.runs.cleaning import clean
from workbook.runs.folder import Outcome, RunFolder, Status
from workbook.runs.notebook import Answers
from workbook.runs.runner import Report, Request, run

__all__ = ["Answers", "Outcome", "Report", "Request", "RunFolder", "Status", "clean", "run"]
