"""Tidy tables analysed: estimates with intervals (`stats`) and figures. Nothing here runs a chain."""
