"""The yardstick: the least that Django can do under the same server, a view that answers constant JSON."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    DEBUG=False,
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
    SECRET_KEY="the bare view signs nothing",  # noqa: S106
    USE_TZ=True,
)


def answer(request: HttpRequest) -> JsonResponse:
    """Read the body, as any API must, and answer."""
    response = JsonResponse({"length": len(request.body)})
    # Else gunicorn answers in chunks; Django's CommonMiddleware does this for the full path.
    response.headers["Content-Length"] = str(len(response.content))
    return response


urlpatterns = [path("answer", answer)]

from django.core.wsgi import get_wsgi_application  # noqa: E402  (after the settings above)

application = get_wsgi_application()
