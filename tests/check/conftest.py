"""A test's name tells which exercise it asks."""

from trickkit.check import Exercise


def pytest_make_parametrize_id(val):
    return val.name if isinstance(val, Exercise) else None
