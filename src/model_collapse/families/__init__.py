"""Kinds of models. One file per family; adding one edits nothing else (see book/adding.md)."""
