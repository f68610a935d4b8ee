"""By which identifiers rows of a release are known: numbers or words, of spectra or of stars."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from catalog_builder.archive.release_parts import STAR_ID, ReleaseParts, SeveralSpectra
from catalog_builder.archive.spectra import LineSpectrum
from catalog_builder.ground.errors import ConfigError


class ReleaseIds(ReleaseParts):
    """A release whose identifiers fit each other."""

    @model_validator(mode="after")
    def _rows_say_whose_they_are(self) -> Self:
        return self._refuse_unknown_stars()

    def _refuse_unknown_stars(self) -> Self:
        if self.several_spectra is None:
            return self
        for table in (self.source_table, *self.driving_tables):
            if table in self.tables and STAR_ID not in self.tables[table].columns:
                raise ValueError(
                    f"several_spectra needs the column {STAR_ID}, whose a row is, in"
                    f" tables.{table}.columns"
                )
        if self.several_spectra == "combined" and self.joined_tables:
            raise ValueError(
                "several_spectra is combined, but joined_tables are looked up by the identifier of"
                " a spectrum: leave them out, or give one_row_each"
            )
        for name, spectrum in self.spectra.items():
            if self.several_spectra == "combined" and not isinstance(spectrum, LineSpectrum):
                raise ValueError(
                    f"several_spectra is combined, but spectra.{name} are of low resolution: only"
                    " spectra of lines are combined"
                )
            if self.several_spectra == "combined" and not self.has_own_noise(name):
                raise ValueError(
                    f"several_spectra is combined, but spectra.{name}.sig_to_noise,"
                    f" {spectrum.sig_to_noise}, is of one spectrum and stands in"
                    f" {self.home_of(spectrum.sig_to_noise or '')}: name a column of the spectrum's"
                    " own table, or none"
                )
        return self

    @model_validator(mode="after")
    def _identifiers_agree(self) -> Self:
        kinds: dict[str, set[tuple[str, int | None]]] = {"source_id": set(), STAR_ID: set()}
        for table, spec in self.tables.items():
            for name, column in spec.columns.items():
                where = f"tables.{table}.columns.{name}"
                if column.is_text and name not in kinds:
                    raise ValueError(f"{where} is text: only source_id and {STAR_ID} can be")
                if name == STAR_ID and (column.dtype not in {"int64", "text"} or column.nulls):
                    raise ValueError(f"{where} is neither int64 nor text, as identifiers are")
                if name in kinds:
                    kinds[name].add((column.dtype, column.characters))
        for name, found in kinds.items():
            if len(found) > 1:
                raise ValueError(
                    f"{name} is not of the same dtype and characters in all `tables`: they are"
                    " joined by it"
                )
        rule = self.partition
        cut = rule.layout != "anywhere" or rule.position_column is not None
        if cut and any(dtype == "text" for dtype, _ in kinds["source_id"]):
            raise ValueError(
                "source_id is text, which says nothing of a place on the sky: give partition"
                " `layout: anywhere`, without position_column"
            )
        return self

    def as_read(self, several: SeveralSpectra | None = None) -> Self:
        """Return the release as it is read: by stars, where the spectra of each become one.

        Parameters
        ----------
        several : {"one_row_each", "combined"}, optional
            What becomes of several spectra, if not what the description says.

        Raises
        ------
        ConfigError
            If the release does not say whose its spectra are, or they cannot be combined.
        """
        if several is not None and several != self.several_spectra:
            return self._with(several).as_read()
        if self.several_spectra != "combined":
            return self
        tables = {}
        for name, spec in self.tables.items():
            columns = dict(spec.columns)
            star = columns.pop(STAR_ID, None)
            if star is not None:
                names = spec.native_names(STAR_ID)
                columns["source_id"] = star.model_copy(update={"names": names, "required": True})
            tables[name] = spec.model_copy(update={"columns": columns})
        return self.model_copy(update={"tables": tables})

    def _with(self, several: SeveralSpectra) -> Self:
        what = f"The setting several_spectra is {several}, but"
        if self.several_spectra is None:
            raise ConfigError(
                f"{what} release {self.name} has one spectrum of each source.",
                "Leave the setting out, or give the description `several_spectra` and `star_id`.",
            )
        changed = self.model_copy(update={"several_spectra": several})
        try:
            return changed._refuse_unknown_stars()
        except ValueError as error:
            raise ConfigError(f"{what} release {self.name} does not fit: {error}.") from None
