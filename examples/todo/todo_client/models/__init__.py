"""Contains all the data models used in inputs/outputs"""

from .error import Error
from .item import Item

__all__ = (
    "Error",
    "Item",
)
