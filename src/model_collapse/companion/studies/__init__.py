"""What is run: conditions and sizes of studies, as arguments of `plan`.

language.py         the paper's experiment on text
verification.py     its runs as `model-collapse verify` makes them
images.py           the same experiment on images
other_ai.py         models that read each other
curation.py         people who choose what is published
open_questions.py   how much real data, and what becomes of minorities
"""
