"""Protocols of your own on trio; the public names of this package are those of wirecore_trio."""
