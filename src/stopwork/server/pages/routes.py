"""The console's addresses: pages to look at, forms to send, signing in and out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NoReturn
from urllib.parse import parse_qs, urlsplit

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from stopwork.kernel.errors import Denied, NotFound, StopworkError, Unauthenticated
from stopwork.ledger import records as r
from stopwork.ledger.records import Credential, Principal
from stopwork.ledger.words import PrincipalKind
from stopwork.operations import credentials, custody, evidence, hooking, privacy
from stopwork.operations.installation import Installation
from stopwork.server.api.endpoint import Rendered
from stopwork.server.api.routing import read_body, saved_as
from stopwork.server.auth import COOKIE, NOBODY, check_csrf, csrf_token, identify
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders import (
    auditing,
    backfills,
    board,
    changes,
    controls,
    drafts,
    incident,
    incidents,
    journal,
    log,
    reports,
    timeline,
    workflow,
)
from stopwork.server.pages.builders.look import Look
from stopwork.server.pages.files import attach_file, export_timeline, form_with_file, take_attachment
from stopwork.server.pages.forms import FORMS
from stopwork.server.pages.opening import page_of
from stopwork.server.pages.rendering import Pages
from stopwork.server.pages.sent import Landed, Sent
from stopwork.server.problems import as_stopwork_error
from stopwork.storage.view import View
from stopwork.worker.crew import Crew

FLASH: Final = "stopwork_flash"
FLASH_S: Final = 30
#: A cookie holds about 4000 bytes, and a character may take four of them.
MAX_SAID: Final = 400
MAX_HINT: Final = 200
MAX_FORM_BYTES: Final = 256 * 1024
MAX_FORM_FIELDS: Final = 5_000

Builder = Callable[[Look, Mapping[str, str]], c.Context]

_PAGES: Final[dict[str, Builder]] = {
    "/": lambda look, _path: board.board(look),
    "/workflows/{workflow}": lambda look, path: workflow.workflow(look, path["workflow"]),
    "/workflows/{workflow}/versions": lambda look, path: changes.workflow_versions(look, path["workflow"]),
    "/workflows/{workflow}/backfills": lambda look, path: backfills.backfills(look, path["workflow"]),
    "/runs/{run}": lambda look, path: workflow.run(look, path["run"]),
    "/runs/{run}/difference": lambda look, path: changes.since_last_good(look, path["run"]),
    "/runs/{before}/difference/{run}": lambda look, path: changes.two_runs(look, path["before"], path["run"]),
    "/pause": lambda look, _path: controls.pause(look),
    "/holds": lambda look, _path: controls.holds(look),
    "/holds/{hold}": lambda look, path: controls.hold(look, path["hold"]),
    "/approvals": lambda look, _path: controls.approvals(look),
    "/approvals/{approval}": lambda look, path: controls.approval(look, path["approval"]),
    "/drafts": lambda look, _path: drafts.drafts(look),
    "/drafts/{draft}": lambda look, path: drafts.draft(look, path["draft"]),
    "/incidents": lambda look, _path: incidents.incidents(look),
    "/incidents/new": lambda look, _path: incidents.open_incident(look),
    "/incidents/{incident}": lambda look, path: incident.incident(look, path["incident"]),
    "/incidents/{incident}/timeline": lambda look, path: timeline.timeline(look, path["incident"]),
    "/incidents/{incident}/objects": lambda look, path: auditing.objects(look, path["incident"]),
    "/incidents/{incident}/difference": lambda look, path: changes.of_incident(look, path["incident"]),
    "/incidents/{incident}/report": lambda look, path: incidents.incident_report(look, path["incident"]),
    "/report": lambda look, _path: reports.report(look),
    "/signals": lambda look, _path: reports.signals(look),
    "/journal": lambda look, _path: journal.journal(look),
}


#: What a page may be about that holds what a call of a run says.
_ASKED: Final[dict[str, type[r.Approval | r.Draft]]] = {"approval": r.Approval, "draft": r.Draft}


def console_routes(crew: Crew, *, secure: bool = False) -> list[BaseRoute]:
    """Answer the routes of the console; ``secure`` when browsers reach it by https only."""
    console = _Console(crew, secure=secure)
    return [
        *(Route(path, console.page(build), methods=["GET"]) for path, build in _PAGES.items()),
        *(Route(path, console.form(act), methods=["POST"]) for path, act in FORMS.items()),
        Route(
            "/log",
            console.page(lambda look, _path: log.log(look, crew.anchoring.log(look.view), crew.health())),
        ),
        Route("/incidents/{incident}/evidence", console.bundle, methods=["GET"]),
        Route("/incidents/{incident}/timeline/export", console.saved(export_timeline), methods=["GET"]),
        Route("/incidents/{incident}/attachments/{digest}", console.saved(take_attachment), methods=["GET"]),
        Route("/incidents/{incident}/attachments", console.attach, methods=["POST"]),
        Route("/records/{record:path}", console.record, methods=["GET"]),
        Route("/sign-in", console.sign_in_page, methods=["GET"]),
        Route("/sign-in", console.sign_in, methods=["POST"]),
        Route("/sign-in/{token}", console.sign_in_page, methods=["GET"]),
        Route("/sign-out", console.sign_out, methods=["POST"]),
        Route("/{anything:path}", console.nowhere, methods=["GET"]),
    ]


class _Console:
    def __init__(self, crew: Crew, *, secure: bool) -> None:
        self._installation = crew.installation
        self._pages = Pages()
        self._secure = secure

    # --- looking ---------------------------------------------------------------------------------

    def page(self, build: Builder) -> Callable[[Request], Awaitable[Response]]:
        """Answer the handler of one page."""

        async def handle(request: Request) -> Response:
            return await run_in_threadpool(self._look, request, build)

        return handle

    def _look(self, request: Request, build: Builder) -> Response:
        session = request.cookies.get(COOKIE, "")
        try:
            person = self._person(session)
        except Unauthenticated:
            return RedirectResponse("/sign-in", status_code=303)
        flash = _read_flash(request)
        try:
            answer = self._render(request, session, person, flash, build)
            self._note_look(person, request)
        except Exception as error:  # noqa: BLE001 - the boundary: everything becomes a page
            answer = self._error(request, session, person, as_stopwork_error(error))
        if flash is not None:
            answer.delete_cookie(FLASH)
        return answer

    def _note_look(self, person: Principal, request: Request) -> None:
        """Note that this person looks at a run or an incident, where what it holds is sensitive evidence."""
        named = request.path_params
        if incident := named.get("incident"):
            part = request.url.path.rpartition(incident)[2].strip("/") or "page"
            custody.note_reading(self._installation, person, what=f"its {part}", incident=incident)
        elif asked := next((name for name in ("run", *_ASKED) if name in named), None):
            runs = self._installation.store.read(lambda view: _runs_of(view, named))
            custody.note_reading(self._installation, person, what=f"{asked} {named[asked]}", runs=runs)

    def _render(
        self, request: Request, session: str, person: Principal, flash: c.Flash | None, build: Builder
    ) -> Response:
        def work(view: View) -> c.Context:
            look = Look(
                view=self._seen(view, person),
                manifests=self._installation.manifests,
                now=self._installation.store.clock.now(),
                visit=self._visit(request, session, person, flash),
                query=dict(request.query_params),
                systems=self._installation.systems,
                offers=hooking.offers(self._installation.hooks),
            )
            return build(look, request.path_params)

        context = self._installation.store.read(work)
        status = context.status if isinstance(context, c.ErrorContext) else 200
        return HTMLResponse(self._pages.render(context), status, headers={"Cache-Control": "no-store"})

    def _error(self, request: Request, session: str, person: Principal, error: StopworkError) -> Response:
        told = privacy.told(self._installation.store, person, error)
        return self._render(request, session, person, None, lambda look, _path: journal.error(look, told))

    def _seen(self, view: View, person: Principal) -> View:
        return privacy.seen_by(view, person, self._installation.store.clock.now())

    def _require_seen(self, person: Principal, named: dict[str, Any]) -> None:
        store = self._installation.store
        store.read(lambda view: privacy.require_seen(view, person, store.clock.now(), named=named))

    def _visit(self, request: Request, session: str, person: Principal, flash: c.Flash | None) -> c.Visit:
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return c.Visit(person=person.id, csrf=csrf_token(session), path=path, flash=flash)

    def _person(self, session: str) -> Principal:
        """Answer who is signed in. An agent's token never opens the console."""
        person = identify(self._installation, session)
        if person.kind is not PrincipalKind.PERSON:
            raise Unauthenticated("an agent cannot sign in", hint="Sign in as a person.")
        return person

    async def nowhere(self, request: Request) -> Response:
        """Answer that there is no such page."""
        return await self.page(lambda _look, _path: _raise_not_found())(request)

    async def record(self, request: Request) -> Response:
        """Lead to the page that tells about a record."""
        return await run_in_threadpool(self._record, request)

    def _record(self, request: Request) -> Response:
        session = request.cookies.get(COOKIE, "")
        try:
            person = self._person(session)
        except Unauthenticated:
            return RedirectResponse("/sign-in", status_code=303)
        record = str(request.path_params["record"])
        try:
            return RedirectResponse(
                self._installation.store.read(lambda view: page_of(self._seen(view, person), record)),
                status_code=303,
            )
        except StopworkError as error:
            return self._error(request, session, person, error)

    async def bundle(self, request: Request) -> Response:
        """Hand out the newest evidence bundle; that it was taken out is recorded."""
        session = request.cookies.get(COOKIE, "")
        try:
            person = await run_in_threadpool(self._person, session)
        except Unauthenticated:
            return RedirectResponse("/sign-in", status_code=303)
        try:
            await run_in_threadpool(self._require_seen, person, dict(request.path_params))
            path = await run_in_threadpool(
                lambda: evidence.fetch(
                    self._installation, person, incident=str(request.path_params["incident"])
                )
            )
        except StopworkError as error:
            return await run_in_threadpool(self._error, request, session, person, error)
        return FileResponse(
            path, filename=path.name, media_type="application/zip", headers={"Cache-Control": "no-store"}
        )

    def saved(self, make: Callable[[Installation, Principal, Request], Rendered]) -> Callable[..., Any]:
        """Answer the handler of a file that a browser saves and never shows; that it was taken out is recorded."""

        async def handle(request: Request) -> Response:
            return await run_in_threadpool(self._saved, request, make)

        return handle

    def _saved(
        self, request: Request, make: Callable[[Installation, Principal, Request], Rendered]
    ) -> Response:
        session = request.cookies.get(COOKIE, "")
        try:
            person = self._person(session)
        except Unauthenticated:
            return RedirectResponse("/sign-in", status_code=303)
        try:
            self._require_seen(person, dict(request.path_params))
            found = make(self._installation, person, request)
        except Exception as error:  # noqa: BLE001 - the boundary: everything becomes a page
            return self._error(request, session, person, as_stopwork_error(error))
        headers = {"Cache-Control": "no-store"} | saved_as(found.filename)
        return Response(found.content, media_type=found.media_type, headers=headers)

    # --- sending ---------------------------------------------------------------------------------

    async def attach(self, request: Request) -> Response:
        """Take a form with a file in it."""

        async def fields(request: Request) -> dict[str, list[str]]:
            fields, request.state.file = await form_with_file(request)
            return fields

        return await self.form(lambda sent: attach_file(sent, request.state.file), fields)(request)

    def form(
        self,
        act: Callable[[Sent], Landed],
        read: Callable[[Request], Awaitable[dict[str, list[str]]]] | None = None,
    ) -> Callable[[Request], Awaitable[Response]]:
        """Answer the handler of one form: it acts, then leads back to a page that says what came of it."""

        async def handle(request: Request) -> Response:
            session = request.cookies.get(COOKIE, "")
            person = NOBODY
            try:
                person = await run_in_threadpool(self._person, session)
                fields = await (read or _fields)(request)
                check_csrf(session, fields.get("csrf", [""])[0])
                sent = Sent(
                    installation=self._installation,
                    person=person,
                    path=dict(request.path_params),
                    fields=fields,
                )
                await run_in_threadpool(self._require_seen, person, {**fields, **sent.path})
                landed = await run_in_threadpool(act, sent)
            except Unauthenticated:
                return RedirectResponse("/sign-in", status_code=303)
            except Exception as error:  # noqa: BLE001 - the boundary: everything becomes words on a page
                problem = as_stopwork_error(error)
                problem = await run_in_threadpool(privacy.told, self._installation.store, person, problem)
                said = c.Flash(kind=c.FlashKind.PROBLEM, text=problem.detail, hint=problem.hint)
                return self._lead(_came_from(request), said)
            return self._lead(landed.to, c.Flash(kind=c.FlashKind.DONE, text=landed.said))

        return handle

    def _lead(self, to: str, flash: c.Flash) -> Response:
        answer = RedirectResponse(to, status_code=303)
        short = c.Flash(kind=flash.kind, text=flash.text[:MAX_SAID], hint=flash.hint[:MAX_HINT])
        spelled = base64.urlsafe_b64encode(msgspec.json.encode(short)).decode()
        self._cookie(answer, FLASH, spelled, FLASH_S)
        return answer

    def _cookie(self, answer: Response, name: str, value: str, max_age_s: int) -> None:
        answer.set_cookie(
            name, value, max_age=max_age_s, httponly=True, samesite="lax", secure=self._secure, path="/"
        )

    # --- signing in and out ----------------------------------------------------------------------

    async def sign_in_page(self, request: Request) -> Response:
        """Show who a one-time link signs in; a button spends it, so that nothing else can."""
        token = str(request.path_params.get("token", ""))
        return await run_in_threadpool(self._sign_in_page, token, 200)

    def _sign_in_page(self, token: str, status: int) -> Response:
        state, person = self._standing(token) if token else (c.SignInState.NO_LINK, "")
        context = c.SignInContext(
            frame=c.Frame(
                title="Sign in",
                visit=c.Visit(person="", csrf="", path="/sign-in"),
                now=self._installation.store.clock.now(),
            ),
            state=state,
            person=person,
            token=token if state is c.SignInState.READY else "",
        )
        return HTMLResponse(self._pages.render(context), status, headers={"Cache-Control": "no-store"})

    def _standing(self, token: str) -> tuple[c.SignInState, str]:
        def work(view: View) -> tuple[c.SignInState, str]:
            link = view.first(Credential, secret_digest=credentials.secret_digest(token[:300]))
            if link is None or not link.once or link.revoked_at is not None:
                return c.SignInState.EXPIRED, ""
            if link.used_at is not None:
                return c.SignInState.USED, link.principal.id
            now = self._installation.store.clock.now()
            expired = link.expires_at is not None and link.expires_at <= now
            return (c.SignInState.EXPIRED if expired else c.SignInState.READY), link.principal.id

        return self._installation.store.read(work)

    async def sign_in(self, request: Request) -> Response:
        """Spend a one-time link and begin a session."""
        _require_own_site(request)
        token = (await _fields(request)).get("token", [""])[0]
        try:
            issued = await run_in_threadpool(
                self._installation.store.write, lambda tx: credentials.spend_link(tx, token)
            )
        except Unauthenticated as error:
            return await run_in_threadpool(self._sign_in_page, token, error.status)
        answer = RedirectResponse("/", status_code=303)
        self._cookie(answer, COOKIE, issued.secret, int(credentials.SESSION_VALID_FOR.total_seconds()))
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session, here and on the server."""
        session = request.cookies.get(COOKIE, "")
        try:
            check_csrf(session, (await _fields(request)).get("csrf", [""])[0])
            await run_in_threadpool(self._end, session)
        except Unauthenticated:
            pass  # whoever has no session is signed out already
        answer = RedirectResponse("/sign-in", status_code=303)
        answer.delete_cookie(COOKIE)
        return answer

    def _end(self, session: str) -> None:
        store = self._installation.store
        found = store.read(lambda view: credentials.identify(view, session, now=store.clock.now()))
        store.write(
            lambda tx: credentials.revoke(tx, credential=found.id, reason="signed out"), actor=found.principal
        )


async def _fields(request: Request) -> dict[str, list[str]]:
    body = await read_body(request, MAX_FORM_BYTES)
    try:
        return parse_qs(
            body.decode(), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS, strict_parsing=False
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise Denied("the form cannot be read", hint="Reload the page and try again.") from error


def _came_from(request: Request) -> str:
    """Answer the page that a form was sent from, within this console, or the board.

    The scheme is not compared: a proxy in front of the server may speak https for it.
    """
    try:
        parts = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    # A browser takes // and /\\ at the start of an address for the name of another server.
    leaves = not parts.path.startswith("/") or parts.path.startswith(("//", "/\\"))
    if parts.netloc != request.headers.get("host") or leaves:
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _require_own_site(request: Request) -> None:
    """Raise ``Denied`` when a browser says that another site made this request: nobody is signed in by a stranger's page."""
    if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise Denied("this form is from another site", hint="Open the sign-in link and try again.")


def _read_flash(request: Request) -> c.Flash | None:
    try:
        spelled = base64.urlsafe_b64decode(request.cookies.get(FLASH, "").encode())
        return msgspec.json.decode(spelled, type=c.Flash) if spelled else None
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        return None


def _runs_of(view: View, named: Mapping[str, str]) -> frozenset[str]:
    """Answer the runs about whose calls a page of this path tells."""
    runs = {named.get("run"), named.get("before")}
    runs |= {view.need(kind, named[name]).run for name, kind in _ASKED.items() if name in named}
    return frozenset(run for run in runs if run)


def _raise_not_found() -> NoReturn:
    raise NotFound("there is no page at this address", hint="Go to the board and start there.")
