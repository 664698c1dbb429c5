"""The closed list of what can be written into the audit log.

An action is namespaced by the noun it changes. `event_record` refuses a name that is not here, so a
new use case cannot be left out of the log by a spelling mistake.
"""

from __future__ import annotations

ACTIONS: dict[str, str] = {
    "project.create": "A project was created.",
    "project.change": "A project's settings were changed.",
    "membership.change": "A person's role in a project was set.",
    "membership.end": "A person was taken out of a project.",
    "label_set.revise": "A project got a new revision of its label set.",
    "document.import": "Documents were imported.",
    "import.start": "An import of labelled texts was started.",
    "import.finish": "A file was imported: its texts, corrections and predictions are stored.",
    "import.cancel": "Somebody asked an import to stop.",
    "import.fail": "An import ended before its end.",
    "export.start": "An export of labelled texts was started.",
    "export.finish": "Labelled texts were written to a file.",
    "export.cancel": "Somebody asked an export to stop.",
    "export.fail": "An export ended before its end.",
    "export.download": "Somebody took an exported file.",
    "api_key.create": "An API key was created.",
    "api_key.revoke": "An API key was revoked.",
    "version.register": "A model version was put on the shelf.",
    "version.promote": "A model version was made champion.",
    "version.roll_back": "The champion was replaced by an earlier version.",
    "deployment.set": "A slot was pointed at a model version.",
    "correction.submit": "A human's full set of spans for a document was stored.",
    "rating.submit": "A caller rated a prediction.",
    "task.raise": "Somebody asked for a text next.",
    "traffic.take": "Texts of callers were put into the queue.",
    "propagation.apply": "A decision on a surface was carried over to other waiting texts.",
    "propagation.revoke": "A carried-over decision was taken back.",
    "task.skip": "A reviewer skipped a task.",
    "comment.add": "Somebody said something about a document.",
    "comment.resolve": "A comment was marked as settled.",
    "comment.reopen": "A settled comment was opened again.",
    "base_corpus.import": "A labelled corpus was imported for rehearsal.",
    "policy.change": "A project's retraining policy was changed.",
    "run.queue": "A training run was queued.",
    "run.start": "A training run started.",
    "run.cancel": "Somebody asked a training run to stop.",
    "run.finish": "A training run ended with a candidate.",
    "run.fail": "A training run ended without a candidate.",
    "gate.judge": "The gate judged a candidate against the champion.",
    "person.create": "An account was made.",
    "person.change": "An account, its rights or its password was changed.",
    "group.create": "A group of rights was made.",
    "group.change": "A group of rights was changed.",
    "person.sign_in_link": "A one-time sign-in link was made.",
}
