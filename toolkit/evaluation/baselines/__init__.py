"""Baselines: simple predictors that are trained on the same rows.

Each is a function (training rows, test rows, names of the classes) → one prediction for each test row. The target is
the column `label`, or `labels` where a row has several classes.
"""

from toolkit.evaluation.baselines.constant import (
    empty_text,
    frequent_classes,
    majority,
    mean_value,
    median_class,
    median_value,
    most_frequent_label,
    most_frequent_text,
    source_itself,
)
from toolkit.evaluation.baselines.linear import (
    log_mel_logistic_regression,
    one_against_rest_pixels,
    one_against_rest_tfidf,
    pixel_logistic_regression,
    ridge_pixels,
    ridge_tfidf,
    tfidf_logistic_regression,
)
from toolkit.evaluation.baselines.train_and_predict import predict

__all__ = [
    "empty_text",
    "frequent_classes",
    "log_mel_logistic_regression",
    "majority",
    "mean_value",
    "median_class",
    "median_value",
    "most_frequent_label",
    "most_frequent_text",
    "one_against_rest_pixels",
    "one_against_rest_tfidf",
    "pixel_logistic_regression",
    "predict",
    "ridge_pixels",
    "ridge_tfidf",
    "source_itself",
    "tfidf_logistic_regression",
]
