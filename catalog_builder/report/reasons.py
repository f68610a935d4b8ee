"""Why stars are not of a tier: how many fail each of its conditions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from catalog_builder.contract.flags import Tier
from catalog_builder.contract.schema import CatalogSchema
from catalog_builder.report.histogram import Histogram
from catalog_builder.report.html import Cell, Html, number, percent, table, text
from catalog_builder.report.quantities import difference_unit
from catalog_builder.report.summary import Summary


def reasons(summary: Summary, schema: CatalogSchema, tier: Tier) -> list[tuple[Html, int]]:
    """Return each condition that stars fail, and how many do; most stars first.

    Sigmas are counted in bins 2 per cent wide: counts of stars near a limit are approximate.
    """
    found = [*_of_bits(summary, schema, tier), *_of_sigma(summary, schema, tier)]
    return sorted((one for one in found if one[1]), key=lambda one: -one[1])


def kept_out(summary: Summary, schema: CatalogSchema) -> str:
    """Return tables of the reasons, for every tier but the last."""
    parts = []
    for tier in schema.flags.tiers[:-1]:
        found = reasons(summary, schema, tier)
        rows: list[tuple[Cell, ...]] = [
            (words, number(stars), percent(stars, summary.rows)) for words, stars in found
        ]
        if rows:
            name = tier.name.replace("_", " ")
            caption = f"What keeps stars from tier {tier.tier}, {name}; a star can have several"
            parts.append(table(caption, ("What", "Stars", "Share"), rows))
    return "\n".join(parts)


def _of_bits(summary: Summary, schema: CatalogSchema, tier: Tier) -> Iterator[tuple[Html, int]]:
    for name in tier.requires:
        missing = summary.rows - summary.bits[schema.flags[name].bit]
        yield Html(f"<code>{text(name)}</code> is not set"), missing
    for name in tier.without:
        count = summary.bits[schema.flags[name].bit]
        yield Html(f"<code>{text(name)}</code> is set"), count


def _of_sigma(summary: Summary, schema: CatalogSchema, tier: Tier) -> Iterator[tuple[Html, int]]:
    for name, limit in tier.largest_sigma.items():
        if name not in summary.shown:
            continue
        words = f"σ({summary.shown[name].html}) above {limit:g} {difference_unit(schema, name)}"
        yield Html(words), _above(summary.sigma[name], limit)


def _above(histogram: Histogram, limit: float) -> int:
    """Return how many are above a limit, linear within its bin."""
    (axis,), counts = histogram.axes, histogram.counts
    below = np.interp(limit, axis.edges(), np.append(0.0, np.cumsum(counts)))
    return round(float(counts.sum() - below))
