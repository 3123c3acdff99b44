"""Housekeeping: install, the learner's copy, the shipped weights, the studio."""
