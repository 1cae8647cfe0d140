"""Requests that schemathesis makes up from the OpenAPI document: each answer is as the document says, none a fault."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from requests import Session
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from fundlyhub.console.api import ROUTES
from fundlyhub.console.api.openapi import whole
from fundlyhub.console.api.routing import PREFIX, Route
from tests.console.callers import caller
from tests.console.site import Site

pytestmark = pytest.mark.chaos  # for the thousands of requests
EXAMPLES = 10
"""Requests to each route that are right, and as many that are wrong.

Of one processor there is one rebuild and one comparison at a time, and of all one verification: the rest are refused.
"""
TOLD = [ignored_auth, positive_data_acceptance]
"""Checks that are left out: other tests send no token, and a document cannot say all that a reason must be."""


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize("route", [pytest.param(one, id=f"{one.method} {one.path}") for one in ROUTES])
def test_each_answer_is_as_the_document_says(site: Site, route: Route, mode: GenerationMode) -> None:
    operation = schemathesis.openapi.from_dict(whole())[f"{PREFIX}{route.path}"][route.method]
    if mode == GenerationMode.NEGATIVE and not operation.body and not list(operation.iter_parameters()):
        return  # nothing can be wrong
    # A server closes a connection that rests for some seconds, perhaps while the next request is on its way.
    headers = {"Authorization": f"Bearer {caller(site, 'privacy').token}", "Connection": "close"}

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Case[Any]) -> None:
        if mode == GenerationMode.POSITIVE and "{processor}" in route.path:
            case.path_parameters["processor"] = "campaign_stats"  # made-up names would reach nothing
        answer = case.call(base_url=site.url, headers=headers, session=session)
        case.validate_response(answer, excluded_checks=TOLD)

    with Session() as session:  # one connection, as a server limits those of one address
        send()
