"""`core.wipe.Deblend`: divides a translucent mark out; the filter is AutoLogo's, which also takes a mask or a file."""

from vswipe.filters.autologo import create

__all__ = ["create"]
