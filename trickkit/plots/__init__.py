"""Every figure of the course: each function returns a `Picture`, which a notebook shows when a cell
ends with it; and `magnified`, which makes a change of pixels visible.

Everywhere `title` is the finding, and `alt`, where it can be given, what is to be seen; without one
the figure says its own numbers. Figures for panels are quick enough to follow a slider.
"""

from trickkit.plots.atlas import atlases, cell_opened
from trickkit.plots.charts import (
    across,
    curves,
    histograms,
    intervals,
    matrix,
    region,
    ticks,
    weights,
)
from trickkit.plots.consequences import bars_by_group, drifting
from trickkit.plots.contexts import concordance
from trickkit.plots.debt import served, shortfall, spread
from trickkit.plots.fairness import audits, base_rate_lines, by_month, reachable
from trickkit.plots.games import boards, learnt, strips, training_log
from trickkit.plots.images import Film, film, lit, magnified, maps, pictures, signed
from trickkit.plots.information import bands, cubes, icosahedra, layers_in_plane, planes
from trickkit.plots.monitors import catches, lights, on_call, readiness
from trickkit.plots.panels import (
    alignment_matrix,
    attacked,
    attended,
    coloured_text,
    microscope,
    neuron,
    probabilities,
    products,
    there_and_back,
)
from trickkit.plots.picture import Picture
from trickkit.plots.summaries import clouds, likeness
from trickkit.plots.terrain import contours, flow, path_between, rearranged, relief, trails
from trickkit.plots.tricked import every_game, moment
from trickkit.plots.zoo import loud_maps, suspect, wall
