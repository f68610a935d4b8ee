"""Bringing an archive to disk."""
