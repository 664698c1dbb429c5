"""The shelf of model versions and everything on the serving path."""

from inference.models.divisions import Division
from inference.models.failures import ArmFailure, ArmUnkept
from inference.models.jobs import PredictionChunk, PredictionJob
from inference.models.keys import ApiKey
from inference.models.leases import Leased
from inference.models.predictions import Prediction
from inference.models.shadows import ShadowComparison, ShadowTest
from inference.models.versions import Deployment, Evaluation, ModelVersion

__all__ = [
    "ApiKey",
    "ArmFailure",
    "ArmUnkept",
    "Deployment",
    "Division",
    "Evaluation",
    "Leased",
    "ModelVersion",
    "Prediction",
    "PredictionChunk",
    "PredictionJob",
    "ShadowComparison",
    "ShadowTest",
]
