"""Papers at scale: a paper's table as a grid of settings and seeds, measured by the functions that
the lessons call, on all of a laptop's cores or on a cluster.

`trickkit reproduce goodfellow2015 --on local`, or `scale.run("goodfellow2015")`. It wants the
extra [scale]: Dask, which also speaks to Slurm and to Kubernetes.
"""

from trickkit.scale.reproduction import PAPERS, grid_of, run
