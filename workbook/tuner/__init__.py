"""Which memory size, with as few calls as it takes.

`Goal` says what is best, `tune` finds it, and `power_tuning` speaks with AWS Lambda Power Tuning, the tool that made this
question known: https://github.com/alexcasalboni/aws-lambda-power-tuning
"""

from workbook.tuner.goal import Goal, Rates
from workbook.tuner.tuning import Tuning, tune

__all__ = ("Goal", "Rates", "Tuning", "tune")
