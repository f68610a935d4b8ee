"""The command line: parse, call, print.

Exit codes: 0 done; 1 a defect of the program, or of `diff`, that there is a difference; 2 wrong
usage; 3 a wrong setting; 4 the archive or the label survey; 5 the workdir; 6 the cluster; 7 the
model; 8 the catalogue; 9 not enough memory or disk; 130 interrupted.
"""

from __future__ import annotations


def main() -> None:
    """Run the program; every error ends in a message and an exit code."""
    # Before anything else is imported: Ctrl-C may come at any moment.
    import sys

    from catalog_builder.runtime import signals

    # Another program that calls this one, a test say, keeps its own handling of signals.
    if sys._getframe(1).f_globals.get("__name__") == "__main__":
        signals.take_over()
    from catalog_builder.cli.program import run

    signals.leave(run())
