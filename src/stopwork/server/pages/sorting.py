"""The console's forms that sort incidents: accept, decline, merge, split."""

from __future__ import annotations

from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.words import Phase
from stopwork.operations import incidents, privacy, triage
from stopwork.server.pages.sent import Landed, Sent


def accept(sent: Sent) -> Landed:
    """Take a proposed incident on."""
    found = sent.write(lambda tx: triage.accept(tx, incident=sent.incident))
    return Landed(
        f"{found.id} is open. You are its commander until you hand it over.", f"/incidents/{found.id}"
    )


def decline(sent: Sent) -> Landed:
    """Say that it is no incident; whoever sorts goes on with the next one."""
    found = sent.write(lambda tx: triage.decline(tx, incident=sent.incident, reason=sent.get("reason")))
    said = [f"{sent.incident} is declined."]
    if found.lifted:
        said.append(f"{count_of(len(found.lifted), 'hold')} lifted.")
    if found.kept:
        said.append(f"{count_of(len(found.kept), 'hold')} that people set stay; a second person lifts them.")
    if found.stage:
        said.append(f"The workflow is back at the stage {found.stage.replace('_', ' ')}.")
    if found.stage_stays:
        said.append(f"The stage stays: {found.stage_stays}.")
    return Landed(" ".join(said), "/incidents")


def merge(sent: Sent) -> Landed:
    """Let it go on in another incident."""
    home = sent.write(
        lambda tx: triage.merge(
            tx,
            sent.installation.manifests,
            incident=sent.incident,
            into=sent.get("into"),
            reason=sent.get("reason"),
        )
    )
    return Landed(f"{sent.incident} goes on here.", f"/incidents/{home.id}")


def split(sent: Sent) -> Landed:
    """Open an incident of its own for what was chosen."""
    new = sent.write(
        lambda tx: triage.split(
            tx,
            sent.installation.manifests,
            incident=sent.incident,
            signals=sent.all("signals"),
            runs=sent.all("runs"),
            reason=sent.get("reason"),
        )
    )
    return Landed(f"{new.id} is open for what was split off.", f"/incidents/{new.id}")


def restrict(sent: Sent) -> Landed:
    """Say who sees it."""
    readers = [each.strip() for each in sent.get("readers").split(",") if each.strip()]
    found = sent.write(
        lambda tx: privacy.restrict(tx, incident=sent.incident, readers=readers, reason=sent.get("reason"))
    )
    return Landed(f"Only {listed(found.readers, most=9)} and administrators see it now.", sent.at(Phase.OPEN))


def open_up(sent: Sent) -> Landed:
    """Let everybody see it again."""
    sent.write(lambda tx: privacy.open_up(tx, incident=sent.incident, reason=sent.get("reason")))
    return Landed("Everybody sees it now.", sent.at(Phase.OPEN))


def tag(sent: Sent) -> Landed:
    """Change the tags."""
    found = sent.write(lambda tx: incidents.tag(tx, incident=sent.incident, tags=sent.get("tags").split(",")))
    return Landed(f"Tagged {', '.join(found.tags)}." if found.tags else "It has no tag.", sent.at(Phase.OPEN))


def answer(sent: Sent) -> Landed:
    """Answer a question of the checklist."""
    item = sent.get("question")
    sent.write(
        lambda tx: incidents.answer_question(tx, incident=sent.incident, item=item, answer=sent.get("answer"))
    )
    return Landed("Answered in your name.", sent.at(item.partition("/")[0]))


#: The forms by the last part of their address.
SORTING = {
    "accept": accept,
    "decline": decline,
    "merge": merge,
    "split": split,
    "restrict": restrict,
    "open-up": open_up,
    "tags": tag,
    "checklist": answer,
}
