"""Selection and weighting of a training set before the fit. One file per filter."""
