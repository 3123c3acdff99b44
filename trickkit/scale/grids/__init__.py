"""A grid a paper: `measure` and `GRID`, in a module that is called as the paper."""
