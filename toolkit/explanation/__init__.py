"""Explanations of predictions, and how faithful they are.

words.py         a text as words, independent of the model's tokens
patches.py       a picture as its patches, and the methods that use its pixels
question.py      predictions for texts with some of their words left out
attention.py     explanations from the attention weights: mean, rollout, relevance
attributions.py  every method by name, including gradients and leave-one-out
faithfulness.py  whether the model depends on the top-ranked words: comprehensiveness and sufficiency
alignment.py     the source word of each word of a translation
alignment_error.py  an alignment compared with a manual one
sensitivity.py   whether an explanation changes when the weights are made random
"""
