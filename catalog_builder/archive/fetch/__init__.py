"""Bring the tables of a survey archive, and a label survey's file, to disk.

`driver.fetch_archive` is the door. `plan` says what is wanted, `listing` what the server has,
`download` brings one file, `client` speaks HTTPS and nothing weaker.
"""
