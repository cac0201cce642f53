"""x"""
from matplotlib.figure import Figure
from superpose.experiment import Experiment
def figure(tree):
    return Figure()
experiment = Experiment(figure=figure)
