"""The figures, tables and sentences of the chapters: one module for each notebook, named by its slug.

A notebook has the question and the reasons in Markdown, runs the conditions of a study, and calls one function of its
module for each figure, with the tables of these runs. A function shows the figure and the sentence that describes it.
"""
