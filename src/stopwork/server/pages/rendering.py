"""From a context record to a page: autoescaped, and an unknown name in a template is an error, never an empty space."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stopwork.incidents.lifecycle import PhaseState
from stopwork.incidents.tags import NAMES
from stopwork.ledger import words as w
from stopwork.ledger.peoples_words import MAX_TEXT_CHARS
from stopwork.server.pages import contexts as c
from stopwork.server.pages import formatting, held, vocabulary

TEMPLATES = Path(__file__).parent.parent / "templates"
STATIC = Path(__file__).parent.parent / "static"

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

_TEMPLATES: dict[type[c.Context], str] = {
    c.SignInContext: "sign_in.html",
    c.ErrorContext: "error.html",
    c.BoardContext: "board.html",
    c.WorkflowContext: "workflow.html",
    c.VersionsContext: "versions.html",
    c.RunContext: "run.html",
    c.DifferenceContext: "difference.html",
    c.IncidentContext: "incident.html",
    c.IncidentsContext: "incidents.html",
    c.ObjectsContext: "objects.html",
    c.OpenIncidentContext: "open_incident.html",
    c.ReportContext: "report.html",
    c.ReportFormContext: "report_something.html",
    c.SignalsContext: "signals.html",
    c.PauseContext: "pause.html",
    c.HoldsContext: "holds.html",
    c.HoldContext: "hold.html",
    c.ApprovalsContext: "approvals.html",
    c.ApprovalContext: "approval.html",
    c.BackfillsContext: "backfills.html",
    c.DraftsContext: "drafts.html",
    c.DraftContext: "draft.html",
    c.JournalContext: "journal.html",
    c.LogContext: "log.html",
    c.TimelineContext: "timeline.html",
}


class Pages:
    """Renders every page of the console. One for each process: templates are compiled once."""

    def __init__(self, address_of: Callable[[str], str] | None = None) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {
            "asset": address_of or _versioned_addresses(),
            "w": w,
            "PhaseState": PhaseState,
            "SignInState": c.SignInState,
            "max_text": MAX_TEXT_CHARS,
            "timedelta": timedelta,
        }
        self._environment.filters |= {
            "label": vocabulary.label,
            "tag_name": NAMES.get,
            "tone": vocabulary.tone,
            "icon_name": vocabulary.icon_name,
            "plural": formatting.plural,
            "counted": formatting.counted,
            "moment": formatting.moment,
            "clock_time": formatting.clock_time,
            "span": formatting.span,
            "span_precise": formatting.span_precise,
            "relative": formatting.relative,
            "money": formatting.money,
            "size": formatting.size,
            "short": formatting.short,
            "pretty": formatting.pretty,
            "value": formatting.value,
            "brief": formatting.brief,
            "capital": formatting.capital,
            "linked": formatting.linked,
            "plain": formatting.plain,
            "part": held.part,
            "held": held.held,
            "pausing": held.pausing,
            "enforced": held.enforced,
            "door": vocabulary.door,
            "click_does": vocabulary.click_does,
        }

    def render(self, context: c.Context) -> str:
        """Answer the whole page as HTML."""
        template = self._environment.get_template(_TEMPLATES[type(context)])
        return template.render(
            {name: getattr(context, name) for name in context.__struct_fields__}, page=context
        )


def _versioned_addresses() -> Callable[[str], str]:
    """Answer how a file of ``static/`` is addressed: by its content, so that a browser may keep it for good."""
    known: dict[str, str] = {}

    def address(name: str) -> str:
        if name not in known:
            path = STATIC / name
            version = sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "absent"
            known[name] = f"/static/{name}?v={version}"
        return known[name]

    return address
