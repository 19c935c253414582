"""A study's folder: Zarr that grows unit by unit, accounts, claims, and recovery from whatever has happened to it."""

from ..._exports import names_in as _names_in
from ._store import Store as Store

__all__ = _names_in(vars())
