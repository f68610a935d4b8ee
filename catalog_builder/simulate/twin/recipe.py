"""What a later release is like, beside its description: all that a simulation decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from catalog_builder.ground.errors import ConfigError
from catalog_builder.simulate.twin.traps import TRAPS

Layout = Literal["ranges", "regions"]
NormalisedBy = Literal["brightness", "median"]


@dataclass(frozen=True)
class Recipe:
    """What is simulated of a later release.

    Parameters
    ----------
    layout : {"ranges", "regions"}
        Text in the older release's ranges, or Parquet in folders by region.
    normalised_by : {"brightness", "median"}
        RVS by a pseudo-continuum where G_RVS is below 12 and by their median elsewhere, or all by
        their median.
    changed, split, merged : float
        Shares of the older release's sources whose id is another one now, which are two sources
        now, and which have taken in another.
    traps : tuple of str
        What the archive gets wrong, and its description does not say.
    """

    layout: Layout = "regions"
    normalised_by: NormalisedBy = "brightness"
    changed: float = 0.05
    split: float = 0.01
    merged: float = 0.01
    traps: tuple[str, ...] = ()

    def checked(self) -> Recipe:
        """Return the recipe itself.

        Raises
        ------
        ConfigError
            If a word or a share makes no sense.
        """
        words = (
            ("layout", self.layout, Layout),
            ("normalisation", self.normalised_by, NormalisedBy),
        )
        for name, value, known in words:
            if value not in get_args(known):
                raise ConfigError(
                    f"--{name} {value} is not known.", f"Give one of {', '.join(get_args(known))}."
                )
        for trap in self.traps:
            if trap not in TRAPS:
                raise ConfigError(
                    f"--trap {trap} is not known.", f"Give one of {', '.join(TRAPS)}."
                )
        shares = {"changed": self.changed, "split": self.split, "merged": self.merged}
        for name, share in shares.items():
            if not 0.0 <= share <= 1.0:
                raise ConfigError(f"--{name} {share} is no share.", "Give a number from 0 to 1.")
        # Who has taken in another needs a neighbour that nothing else happens to.
        if self.changed + self.split + 2.0 * self.merged > 0.8:
            raise ConfigError(
                "--changed, --split and twice --merged are more than 0.8 together.",
                "Let most sources keep their id.",
            )
        return self


def recipe_of(given: Mapping[str, Any]) -> Recipe:
    """Return the recipe of the command line's options, by their names.

    Raises
    ------
    ConfigError
        If one makes no sense.
    """
    renamed = {"normalisation": "normalised_by", "trap": "traps"}
    return Recipe(**{renamed.get(name, name): value for name, value in given.items()}).checked()
