"""A stage whose task takes all the memory it can get; imported by workers."""

import time

from catalog_builder.runtime.tasks import Outcome, Stage


def work(workdir, task):
    """Fast, or eat more than the worker has."""
    if task.name == "eats":
        eaten = []
        for _ in range(20):
            eaten.append(bytearray(b"x" * (50 << 20)))
            time.sleep(0.1)
    out = workdir.new_output("rows", task.name, suffix=".txt")
    out.write_text("row")
    return Outcome(1, 1, str(out.relative_to(workdir.root)), "digest")


STAGE = Stage("hungry", version=1, work=work, expendable=True)
