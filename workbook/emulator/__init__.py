"""The embedded emulator: MiniStack's AWS services, execution environments of our own, and corrections towards AWS."""

from workbook.emulator.server import Emulator, find, start

__all__ = ["Emulator", "find", "start"]
