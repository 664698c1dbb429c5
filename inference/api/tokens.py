"""`POST token`: a short-lived token in exchange for a key."""

from __future__ import annotations

from typing import cast

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inference.api import examples
from inference.api.bodies import TokenRequest, TokenResponse
from inference.authentication import caller_of
from inference.errors import MissingScope, TokenForToken, Unauthenticated
from inference.tokens import token_make


class TokenView(APIView):
    """Exchange an API key for a token that ends by itself and may do no more than the key."""

    body = TokenRequest

    def cost(self, request: Request) -> int:
        """As much as a text."""
        return 1

    @extend_schema(
        operation_id="token",
        tags=["access"],
        request=TokenRequest,
        responses=TokenResponse,
        examples=examples.TOKEN,
    )
    def post(self, request: Request) -> Response:
        caller = caller_of(request)
        if caller is None:
            raise Unauthenticated()
        if caller.is_token:
            raise TokenForToken()
        asked = cast(TokenRequest, request.data or TokenRequest())
        scopes = sorted(caller.scopes if asked.scopes is None else set(asked.scopes))
        for scope in scopes:
            if scope not in caller.scopes:
                raise MissingScope(pointer="/scopes", scope=scope)
        token = token_make(key=caller.key, scopes=scopes, seconds=asked.seconds)
        return Response(
            TokenResponse(access_token=token, expires_in=asked.seconds, scope=" ".join(scopes)),
            headers={"Cache-Control": "no-store"},
        )
