"""How far a long piece of work is."""

from __future__ import annotations

from catalog_builder.model.kept_back import Tell


class Share:
    """Which share of the work is done, over several pieces of it."""

    def __init__(self, tell: Tell | None, pieces: int) -> None:
        self._tell, self._pieces, self._done = tell, pieces, 0

    def of(self, pieces: int) -> Tell:
        """Return what is told of the next `pieces`."""
        before = self._done
        self._done += pieces

        def say(share: float) -> None:
            if self._tell is not None:
                self._tell((before + pieces * share) / self._pieces)

        return say
