"""The audit of an incident: what it was about, what it answers, how complete that is, and what followed."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger.records.parts import Answer, Captured, ObjectRef, Principal, Record
from stopwork.ledger.words import AuditLinkKind, SystemSight


class AuditScope(Record):
    """Which calls an audit is about. Without anything it is every call of the incident's runs.

    ``runs``, ``versions`` of the manifest and a time (``since`` counts, ``until`` does not) ask all runs of the workflow instead. ``tools``
    and ``objects`` leave of those calls the ones by these tools, and the ones that changed one of these objects. ``followed`` asks
    also for what other calls did with the objects afterwards.
    """

    runs: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    objects: tuple[ObjectRef, ...] = ()
    versions: tuple[int, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    followed: bool = False

    @property
    def named(self) -> bool:
        """Whether it says itself which calls it is about, instead of those of the incident's runs."""
        return bool(self.runs or self.versions or self.since or self.until)

    @property
    def narrowed(self) -> bool:
        """Whether calls of the incident may be left out."""
        return bool(self.named or self.tools or self.objects)


class SystemSeen(Record):
    """How changes in one system came to be known: of how many ``calls`` in each way; ``sight`` is the weakest of these.

    ``changes`` of the calls were seen in it, ``unseen`` calls could not look.
    """

    system: str
    sight: SystemSight
    changes: int = 0
    unseen: int = 0
    calls: dict[str, int] = {}


class AuditCompleteness(Record):
    """What an audit can know. ``says`` are the same facts in sentences, for every surface.

    Of the ``calls``, ``enforced`` were decided by the guard with the power to stop them, ``observed`` were only recorded, and
    ``reported`` are reads that the guard decided on its lease and told afterwards. ``ends_unseen`` began, and nobody saw how they
    ended. ``unfinished`` runs never said that they had ended. ``left_out`` says which calls were too many to be looked at.
    """

    calls: int
    enforced: int
    observed: int
    reported: int
    steps: int
    ends_unseen: tuple[str, ...] = ()
    systems: tuple[SystemSeen, ...] = ()
    unfinished: tuple[str, ...] = ()
    left_out: str = ""
    says: tuple[str, ...] = ()


class AuditLink(Record):
    """One later call that had to do with an affected object, and how it is led to.

    ``path`` goes from an object that the audited calls changed over calls and objects to this call. ``changed`` is what this call changed.
    """

    call: str
    run: str
    workflow: str
    tool: str
    at: datetime
    kind: AuditLinkKind
    object: ObjectRef
    path: tuple[str, ...]
    changed: tuple[ObjectRef, ...] = ()


class AuditFollowed(Record):
    """What followed from the audited calls: later calls of any workflow, and the declared automations that react to them.

    ``cut`` says what was not followed further; ``missing`` what nobody can tell.
    """

    links: tuple[AuditLink, ...] = ()
    automations: tuple[str, ...] = ()
    cut: str = ""
    missing: tuple[str, ...] = ()


class Audit(Record):
    """The side-effect audit of an incident: twelve answers and the number of affected objects.

    ``seen`` is what it found in objects of which nobody had seen what the calls left there. It goes by the first ``tree_size`` entries of
    the journal.
    """

    id: str
    incident: str
    runs: tuple[str, ...]
    answers: tuple[Answer, ...]
    objects: int
    at: datetime
    by: Principal
    seen: tuple[Captured, ...] = ()
    scope: AuditScope = AuditScope()
    completeness: AuditCompleteness | None = None
    followed: AuditFollowed | None = None
    tree_size: int = 0
