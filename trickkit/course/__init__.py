"""The house: install, the learner's copy, the shipped weights, the studio."""
