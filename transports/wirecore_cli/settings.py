"""What the options of the root command say, for all commands below it."""

from __future__ import annotations

from dataclasses import dataclass

import click


@dataclass
class Settings:
    """The options that stand before a command's name."""

    debug: bool = False


def debugging() -> bool:
    """Whether the running command was asked for --debug."""
    settings = click.get_current_context().find_object(Settings)
    return settings is not None and settings.debug
