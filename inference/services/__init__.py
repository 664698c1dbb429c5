"""What changes on the serving path: versions, slots, predictions, keys."""

from inference.services.deployments import (
    deployment_clear,
    deployment_set,
    deployment_share,
    version_promote,
    version_roll_back,
)
from inference.services.divisions import callers_divide
from inference.services.keys import api_key_create, api_key_revoke
from inference.services.predictions import (
    Answer,
    document_predict,
    documents_predict,
    prediction_make,
    predictions_import,
)
from inference.services.versions import (
    base_models_load,
    blank_version_get,
    evaluation_record,
    external_version_get,
    version_register,
)

__all__ = [
    "Answer",
    "api_key_create",
    "api_key_revoke",
    "base_models_load",
    "blank_version_get",
    "callers_divide",
    "deployment_clear",
    "deployment_set",
    "deployment_share",
    "document_predict",
    "documents_predict",
    "evaluation_record",
    "external_version_get",
    "prediction_make",
    "predictions_import",
    "version_promote",
    "version_register",
    "version_roll_back",
]
