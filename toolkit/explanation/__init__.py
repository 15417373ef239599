"""Explanations of predictions, and how faithful they are.

words.py         a text as the words that a reader sees, whatever tokens the model is given
patches.py       a picture as its patches, and the methods that look at its pixels
question.py      ask a model about texts with some of their words left out
attention.py     explanations read off the attention weights: mean, rollout, relevance
attributions.py  every method under its name, those by gradients and by leaving words out included
faithfulness.py  whether a method's ranking matters to the model: comprehensiveness and sufficiency
alignment.py     which source word each word of a translation comes from
alignment_error.py  an alignment beside one that people made
sensitivity.py   whether an explanation changes when the weights are made random
"""
