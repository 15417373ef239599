"""What the functions of the API return."""

from toolkit.api.results.folders import Comparison, Evaluation, Run, Watched
from toolkit.api.results.predictions import Prediction
from toolkit.api.results.report import Report
from toolkit.commands.predict.outcome import PredictedFile

__all__ = ["Comparison", "Evaluation", "PredictedFile", "Prediction", "Report", "Run", "Watched"]
