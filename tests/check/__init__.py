"""The exercises' checks, a file a lesson.

A package, so that a lesson's tests may be called as a module's are: tests/test_lime.py tests LIME,
and tests/check/test_lime.py the exercises on it."""
