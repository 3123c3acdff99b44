"""Every figure of the course: each function returns a `Picture`, which a notebook shows when a cell ends with it.

Colours are those of Okabe and Ito, told apart by colour-blind readers too; signed values go from blue over white to orange.
"""
from trickkit.plots.charts import curves, histograms, intervals, matrix, region, ticks, weights
from trickkit.plots.images import Film, film, magnified, maps, pictures, signed
from trickkit.plots.panels import attacked, chances, coloured_text, microscope, neuron, products
from trickkit.plots.picture import Picture
