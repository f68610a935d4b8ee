"""The same stars in a later release: deeper, renumbered, in other tables; and its traps."""
