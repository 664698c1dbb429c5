"""Why the serving path refused something."""

from __future__ import annotations

from typing import ClassVar

from corpus.errors import Conflict, DomainError, Invalid, NotFound, Refused


class UnknownModel(NotFound):
    """There is no model {model} for this project."""

    code = "unknown_model"


class Unavailable(DomainError):
    """This cannot be answered now; try again shortly."""

    code = "unavailable"
    status = 503
    retry_after: ClassVar[int] = 1


class ModelLoading(Unavailable):
    """Model {model} is being loaded; try again shortly."""

    code = "model_loading"


class ModelUnusable(Unavailable):
    """The bundle of model {model} was refused ({reason}) and no other version can answer."""

    code = "model_unusable"
    retry_after = 10


class ModelUnsound(Unavailable):
    """Model {model} gave an answer that cannot be right, so it was withheld."""

    code = "model_unsound"


class PredictionNotYet(Unavailable):
    """This prediction is on its way into the database; try again in a second."""

    code = "prediction_not_yet"


class TooMuchAtOnce(Unavailable):
    """Other long texts are being read; try again in a second, or send files of long texts to jobs."""

    code = "too_much_at_once"


class StorageFull(Unavailable):
    """There is no room for the file on the disk of this server; nothing of it was kept. Tell its operator."""

    code = "storage_full"
    retry_after = 60


class NoModelFits(Conflict):
    """No version meets what was asked for ({objections}), and none may stand in: set fallback_enabled."""

    code = "no_model_fits"


class BundleBroken(Conflict):
    """The bundle of {version} was refused: {reason}."""

    code = "bundle_refused"


class DeploymentMoved(Conflict):
    """The champion was changed meanwhile: look at what is deployed now before you repeat this."""

    code = "deployment_moved"


class NothingToRollBackTo(Conflict):
    """The champion has no earlier version to go back to."""

    code = "nothing_to_roll_back_to"


class ShareOutOfRange(Invalid):
    """A share is 0 to 100 percent of the callers."""

    code = "share_out_of_range"


class ShareTooLarge(Conflict):
    """The other slots have {others} % of the callers: this one can have {rest} % at most."""

    code = "share_too_large"


class SlotNotClearable(Conflict):
    """The champion's slot is never empty: promote another version instead."""

    code = "slot_not_clearable"


class ShareNotSettable(Invalid):
    """The slot {slot} has no share of its own: the champion answers whom no other slot does."""

    code = "share_not_settable"


class ReasonRequired(Invalid):
    """Say why: the reason is kept in the audit log."""

    code = "reason_required"


class NumberTaken(Conflict):
    """There is a version {name}@{number} already."""

    code = "number_taken"


class KeyNameTaken(Conflict):
    """This project has a key named {name} already."""

    code = "key_name_taken"


class ScopeUnknown(Invalid):
    """There is no scope {scope}."""

    code = "unknown_scope"


class MissingScope(Refused):
    """This key lacks the scope {scope}."""

    code = "missing_scope"


class OtherProject(Refused):
    """This key belongs to another project."""

    code = "other_project"


class TokenForToken(Refused):
    """A token is exchanged for a key only: a token cannot prolong itself."""

    code = "token_for_token"


class Unauthenticated(DomainError):
    """Send a valid API key: Authorization: Bearer ner_live_..."""

    code = "unauthenticated"
    status = 401


class RateLimited(DomainError):
    """At most {limit} texts an hour for this key; try again in {seconds} s."""

    code = "rate_limited"
    status = 429


class BatchEmpty(Invalid):
    """A batch needs at least one text."""

    code = "empty_batch"


class BatchTooLarge(Invalid):
    """A batch may have {limit} texts at most; this one has {count}."""

    code = "batch_too_large"
    status = 413


class TooManyModels(Invalid):
    """At most {limit} versions are compared at once; these are {count}."""

    code = "too_many_models"


class DuplicateId(Invalid):
    """The ids of a batch differ from each other; this one stood before."""

    code = "duplicate_id"


class NotAnItem(Invalid):
    """An item of a batch is a text, or an object with id and text."""

    code = "not_a_string"


class VersionExternal(Conflict):
    """{version} was made elsewhere: only its answers are here, so it can be neither asked nor deployed."""

    code = "version_external"


class FileTooLarge(Invalid):
    """A file may have {limit}; this one has {size}."""

    code = "too_large"
    status = 413


class FileNameMissing(Invalid):
    """Choose a file first."""

    code = "required"


class JobEnded(Conflict):
    """This job has ended already: {status}."""

    code = "job_ended"


class FileGone(Conflict):
    """The file of this job was removed; send it again."""

    code = "file_gone"
    status = 410


class FileTypeUnsupported(Invalid):
    """Send the file as application/octet-stream, or as the field `file` of multipart/form-data."""

    code = "unsupported_media_type"
    status = 415


class OptionRefused(Invalid):
    """{problem}"""

    code = "invalid_option"


class FileEmpty(Invalid):
    """The file holds no text."""

    code = "empty_file"


class NotUtf8(Invalid):
    """The file is not UTF-8 text."""

    code = "invalid_encoding"
    status = 415


class NoTextColumn(Invalid):
    """The table has no column {field}; say with text_field which one holds the texts."""

    code = "no_text_field"


class TooManyJobs(DomainError):
    """A key may have {limit} unfinished jobs; wait for one to end, or cancel one."""

    code = "too_many_jobs"
    status = 429
    retry_after: ClassVar[int] = 30


class JobUnfinished(Conflict):
    """This job has no result: it is {status}."""

    code = "job_not_done"
