"""The Hub: the only code that uploads."""
