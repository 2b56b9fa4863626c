"""Whole networks, by paper or by kind. They take plain numbers and know no `Config`; each file imports on its own."""
