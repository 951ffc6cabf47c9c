"""Kills what runs, at random moments, and looks whether `clean` leaves nothing and the next run passes: `make faults`.

Run, and not collected by pytest, because forty moments take most of an hour; `tests/test_fault_harness.py` tries out the
harness itself on a notebook of one cell.

`moments` draws what is killed and when, `trial` does it, `leftovers` looks, `wire` is the network that can be cut.
"""
