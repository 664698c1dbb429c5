"""The stack that one writes first, to be measured against: Django's and DRF's defaults, a row by the ORM.

Token authentication, DRF's throttle in a shared cache, a serializer, the same model padded to 75 words, one
INSERT and its commit for each request, a new database connection for each. The model runs on one thread, as
in nerapp: with ONNX Runtime's default the two processes would only be in each other's way.
`python -m bench.serving.obvious` makes the tables and prints a token.
"""

from __future__ import annotations

import os
import uuid
from typing import Any

import dj_database_url
import django
from django.conf import settings

from nerapp.env import PROJECT

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": os.environ["CACHE_URL"],
            "KEY_PREFIX": "obvious",
        }
    },
    DATABASES={"default": dj_database_url.parse(os.environ["DATABASE_URL"])},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework.authtoken",
    ],
    MIDDLEWARE=[  # of `django-admin startproject`, less what only pages need
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_THROTTLE_CLASSES": ["rest_framework.throttling.UserRateThrottle"],
        "DEFAULT_THROTTLE_RATES": {"user": "1000000/min"},
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="the obvious stack signs nothing",  # noqa: S106
    USE_TZ=True,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402  (all of these want the settings above)
from django.db import models  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework import serializers  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

PADDED = 75


class Answered(models.Model):
    """One text and what was found in it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    text = models.TextField()
    entities = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "obvious"

    def __str__(self) -> str:
        return str(self.pk)


class Asked(serializers.Serializer):
    """The body of a request."""

    text = serializers.CharField(max_length=100_000)


class Padded:
    """The bundle's network over sentences of one length."""

    def __init__(self, name: str) -> None:
        import onnxruntime

        from ner.bundle import open_bundle

        self.bundle = open_bundle(PROJECT / "models" / name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(self.bundle.path / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = {entry.name for entry in self.session.get_inputs()}

    def entities(self, text: str) -> list[dict[str, Any]]:
        """The entities of one text, of its first 75 words as such a model has it."""
        import numpy as np

        from ner.decode import Lattice
        from ner.tags import chunks, tag_names
        from ner.tokens import tokenize

        words = tokenize(text)[:PADDED]
        features = np.zeros((1, PADDED, self.bundle.encoder.columns), np.int32)
        features[0, : len(words)] = self.bundle.encoder.encode([word.word for word in words])
        lengths = np.array([len(words)], np.int64)
        feed: dict[str, Any] = {"features": features[:, :, :-1]}
        if "lengths" in self.inputs:
            feed["lengths"] = lengths.astype(np.int32)
        if self.bundle.vectors is not None:
            feed["vectors"] = self.bundle.vectors.look_up(features[:, :, -1])
        scores = self.session.run(None, feed)[0]
        lattice = Lattice(
            scores, lengths, self.bundle.transitions, temperature=self.bundle.config.temperature
        )
        [path_], _ = lattice.best_paths()
        [sure] = lattice.token_probabilities()
        names = tag_names(self.bundle.config.labels)
        tags = [names[tag] for tag in path_[: len(words)]]
        return [
            {
                "text": text[words[first].start : words[stop - 1].end],
                "type": label,
                "start": words[first].start,
                "end": words[stop - 1].end,
                "confidence": float(min(sure[place][path_[place]] for place in range(first, stop))),
            }
            for first, stop, label in chunks(tags)
        ]


class Predict(APIView):
    """Recognise the entities of one text."""

    model: Padded

    def post(self, request: Request) -> Response:
        asked = Asked(data=request.data)
        asked.is_valid(raise_exception=True)
        text = asked.validated_data["text"]
        row = Answered.objects.create(text=text, entities=self.model.entities(text))
        return Response({"prediction_id": str(row.pk), "text": text, "entities": row.entities})


urlpatterns = [path("predict", Predict.as_view())]


def tables_make() -> str:
    """Make the tables and a token."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from rest_framework.authtoken.models import Token

    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Answered)
    return str(Token.objects.create(user=User.objects.create_user("bench")).key)


if __name__ == "__main__":
    print(tables_make())
else:
    Predict.model = Padded(os.environ["OBVIOUS_MODEL"])
    application = get_wsgi_application()
