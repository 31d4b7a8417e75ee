"""Versions of manifests: one with its difference, and the second person's answer to what is proposed."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from stopwork.kernel.errors import Invalid
from stopwork.ledger import records as r
from stopwork.operations import manifests, versions
from stopwork.server.api.controls import Reason
from stopwork.server.api.endpoint import MAX_NUMBER, Endpoint, Given, Page, Read, Write
from stopwork.storage.view import View


class SignVersion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``digest`` is that of the text which the person was shown."""

    digest: Annotated[str, Meta(max_length=200)]
    note: Annotated[str, Meta(max_length=2_000)] = ""


class DeclineVersion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Reason


def _number(given: Given) -> int:
    text = given.path["version"]
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) <= MAX_NUMBER):
        raise Invalid(f"{text[:40]!r} is not a version", hint="Versions count from 1.", field="version")
    return int(text)


def _one(view: View, given: Given) -> versions.VersionView:
    return versions.one(
        view,
        given.installation.manifests,
        workflow=given.path["workflow"],
        version=_number(given),
        now=given.installation.store.clock.now(),
    )


def _list(view: View, given: Given) -> list[r.ManifestVersion]:
    return view.find(
        r.ManifestVersion,
        order="-version",
        limit=given.query.limit,
        after=given.query.after,
        workflow=manifests.known_workflow(view, given.path["workflow"]).id,
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/v1/workflows/{workflow}/versions",
        name="list_versions",
        summary="The manifest versions of a workflow, newest first, with those that wait to be signed",
        does=Read(_list),
        query=Page,
        answer=list[r.ManifestVersion],
        tag="workflows",
    ),
    Endpoint(
        method="GET",
        path="/v1/workflows/{workflow}/versions/{version}",
        name="get_version",
        summary="One version with what it changes and who may sign it",
        does=Read(_one),
        answer=versions.VersionView,
        tag="workflows",
    ),
    Endpoint(
        method="POST",
        path="/v1/workflows/{workflow}/versions/{version}/approve",
        name="approve_version",
        summary="Sign a proposed version as the second person and put it in force",
        does=Write(
            lambda tx, g: versions.approve(
                tx,
                workflow=g.path["workflow"],
                version=_number(g),
                digest=g.body.digest,
                note=g.body.note,
            )
        ),
        body=SignVersion,
        answer=r.ManifestVersion,
        tag="workflows",
    ),
    Endpoint(
        method="POST",
        path="/v1/workflows/{workflow}/versions/{version}/decline",
        name="decline_version",
        summary="Turn a proposed version down",
        does=Write(
            lambda tx, g: versions.decline(
                tx, workflow=g.path["workflow"], version=_number(g), reason=g.body.reason
            )
        ),
        body=DeclineVersion,
        answer=r.ManifestVersion,
        tag="workflows",
    ),
)
