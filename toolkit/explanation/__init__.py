"""Explanations of predictions, and how faithful they are.

units.py         words with apostrophes and negations, which are one word
words.py         a text as words, independent of the model's tokens
patches.py       a picture as its patches, and the methods that use its pixels
question.py      predictions for texts with some of their words left out
attention.py     explanations from the attention weights: mean, rollout, relevance
attributions.py  every method by name, including gradients and leave-one-out
faithfulness.py  whether the model depends on the top-ranked words: comprehensiveness and sufficiency
integration.py   integrated gradients with as many steps as they need
trust.py         all measurements of a model's methods
translations/    the source word of each word of a translation, and its error against a manual alignment
sensitivity.py   whether an explanation changes when the weights are made random
"""
