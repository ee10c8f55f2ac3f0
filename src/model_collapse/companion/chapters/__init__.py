"""What the chapters of the book compute and show: one module for each notebook, named by its slug.

A notebook says in Markdown what is asked and why, runs the conditions of a study, and calls one function of its module
for each figure, with the tables of these runs. A function shows the figure and the sentence that states what one sees.
"""
