"""What the functions of the API return."""

from toolkit.api.results.folders import Comparison, Evaluation, Run
from toolkit.api.results.predictions import Prediction
from toolkit.api.results.report import Report

__all__ = ["Comparison", "Evaluation", "Prediction", "Report", "Run"]
