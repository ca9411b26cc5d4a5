"""The fairness card of a fitted model: one file that says what it is, does and should not do.

`evidence` computes what a card rests on; `cautions`, `reproducibility` and `sections` put it into
the sections of a model card; `fairness_card` is the object; a file per kind of file writes it.
"""
