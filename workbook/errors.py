"""What can go wrong, as one small tree.

    WorkbookError
    ├── SetupError       this machine is not ready: a port, a disk, a missing program, an emulator that did not start
    ├── TargetError      the target is not reachable, not the expected one, or not allowed
    ├── DeployError      a handler folder or a template could not become a running stack
    ├── ParameterError   a value that was passed in is unknown, of the wrong type, or out of range
    └── NotebookError    a notebook failed, hung, or lost its kernel

What a lesson provokes on purpose (a timeout, a throttle, a poison message) is a result, never one of these.
"""


class WorkbookError(Exception):
    """An error in three parts: what is wrong with the actual value, why it matters, and what to do."""

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.why, self.fix = what, why, fix

    def __str__(self) -> str:
        return " ".join(part for part in (self.what, self.why, self.fix) if part)

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows in place of a traceback: the sentence alone."""
        return [f"{type(self).__name__}: {self}"]


class SetupError(WorkbookError):
    """This machine is not ready."""


class TargetError(WorkbookError):
    """The target is not reachable, not the expected one, or not allowed."""


class DeployError(WorkbookError):
    """A handler folder or a template could not become a running stack."""


class ParameterError(WorkbookError):
    """A value that was passed in is unknown, of the wrong type, or out of range."""


class NotebookError(WorkbookError):
    """A notebook failed, hung, or lost its kernel."""
