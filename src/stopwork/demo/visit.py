"""The story with the visitor as its people: the console asks, the visitor does, and the agent is started where it is needed."""

from __future__ import annotations

import shlex
from typing import Any, Final, NoReturn

from stopwork.demo.agent import WORKFLOW
from stopwork.demo.called import this_command
from stopwork.demo.company import Company
from stopwork.demo.detection import detection_of
from stopwork.demo.keyboard import Keyboard
from stopwork.demo.narrator import Narrator
from stopwork.demo.processes import Child
from stopwork.demo.world import MANIFEST, MANIFEST_FIXED, AgentMode
from stopwork.incidents.reenable import GOOD
from stopwork.kernel.phrases import count_of, listed, sentence
from stopwork.ledger.words import ApprovalState, EffectKind, Phase, ReenableCheck, Stage

LOOK_EVERY_S: Final = 0.5
#: Long enough to open the console first, where nobody can press Enter.
HEAD_START_S: Final = 3.0
#: How long a run on a stage waits for each approval.
APPROVAL_WAIT_S: Final = 900.0
ACCOUNTS_PER_RUN: Final = 2

Json = dict[str, Any]


class Visit:
    """One visitor's way through the ten phases. Nothing is done for them but what the agent and its developer do."""

    def __init__(self, company: Company, narrator: Narrator, keyboard: Keyboard) -> None:
        self._company = company
        self._say, self._tell = narrator.say, narrator.tell
        self._keyboard = keyboard
        self._incident: Json | None = None
        self._agent: Child | None = None
        self._asked_next: Json | None = {}
        self._shown: set[str] = set()
        self._ran_at: tuple[str, str] | None = None

    def lead(self) -> NoReturn:
        """Lead until the visitor leaves with Ctrl-C."""
        self.begin()
        while True:
            self.step()

    def begin(self) -> None:
        """Show the visitor in, and start the agent once they are ready."""
        company = self._company
        company.introduce(MANIFEST)
        self._say()
        self._link("business owner", company.dana)
        self._link("technical owner", company.lee)
        self._say(f"The CRM that the agent works in: {company.world.crm_url}")
        self._say()
        self._say(
            "Start as dana, who can sign everything; in a private window lee sees what is not theirs to sign."
        )
        if self._keyboard.listens:
            self._say("Here, l or d with Enter makes a new link for lee or dana. Ctrl-C ends the demo.")
            self._say("Press Enter to let the agent start.")
            self._wait_for_enter()
        else:
            self._say(f"The agent starts in {HEAD_START_S:g} seconds. Ctrl-C or SIGTERM ends the demo.")
            self._keyboard.line(HEAD_START_S)
        self._tell("The agent starts its weekly run.")
        self._agent = company.start_agent(AgentMode.FLAWED)

    def step(self) -> None:
        """Look once at what has happened, say what is new, and do what falls to the agent and its developer."""
        typed = self._keyboard.line(LOOK_EVERY_S)
        if typed:
            self._typed(typed)
        if self._incident is None:
            self._watch_for_the_incident()
            return
        self._watch_the_agent()
        self._watch_the_approvals()
        self._show_what_comes_next(entered=typed == "")

    # what the visitor sees

    def _link(self, role: str, person: Any) -> None:
        self._say(f"Sign in as {person.address} ({role}):")
        self._say(f"  {self._company.sign_in_link(person)}")

    def _wait_for_enter(self) -> None:
        while (typed := self._keyboard.line(LOOK_EVERY_S)) != "" and self._keyboard.listens:
            self._typed(typed)

    def _typed(self, typed: str | None) -> None:
        match typed:
            case "l":
                self._link("technical owner", self._company.lee)
            case "d":
                self._link("business owner", self._company.dana)
            case _:
                pass

    def _watch_for_the_incident(self) -> None:
        lee = self._company.lee
        found = lee.get("/v1/incidents", workflow=WORKFLOW)
        if not found:
            return
        self._incident = incident = found[-1]
        seen = detection_of(lee, incident["id"])
        scope = seen.hold["scope"]
        self._tell(f"The first duplicate: {seen.summary}.", at=seen.duplicate_at)
        self._tell(
            f"{seen.after_s * 1000:.0f} ms later the {scope['kind']} {scope['name']} is held.",
            at=seen.held_at,
        )
        self._tell(
            f"{incident['id']} is open ({incident['severity']}): {incident['title']}.", at=seen.held_at
        )
        self._say(f"  {self._company.url}/incidents/{incident['id']}")

    def _watch_the_agent(self) -> None:
        if self._agent is None or self._agent.exit_code is None:
            return
        self._agent = None
        lee = self._company.lee
        run = lee.get("/v1/runs", workflow=WORKFLOW, limit=1)[0]
        calls = lee.get("/v1/calls", run=run["id"], limit=500)
        writes = [call["verdict"] for call in calls if call["effect"] != EffectKind.READ]
        tally = listed(f"{writes.count(verdict)} {verdict}" for verdict in dict.fromkeys(reversed(writes)))
        self._tell(f"The agent's run {run['status']}. Its writes: {tally or 'none'}.")

    def _watch_the_approvals(self) -> None:
        for approval in self._company.dana.get("/v1/approvals", state=ApprovalState.PENDING):
            if approval["id"] not in self._shown:
                self._shown.add(approval["id"])
                self._tell(f"dana is asked: {approval['title']}.")
                self._say(f"  {self._company.url}/approvals/{approval['id']}")

    # what comes next

    def _show_what_comes_next(self, *, entered: bool) -> None:
        path = f"/v1/incidents/{self._incident_id}"
        next_action: Json | None = self._company.lee.get(f"{path}/phases")["next"]
        if next_action != self._asked_next:
            self._asked_next = next_action
            self._say_next(next_action)
        if next_action is not None and next_action["phase"] in (Phase.REENABLE, Phase.PREPARE):
            self._patch_when_asked(path, entered=entered)
            self._run_the_stage(entered=entered and next_action["phase"] == Phase.REENABLE)

    @property
    def _incident_id(self) -> str:
        return str(self._incident["id"]) if self._incident else ""

    def _say_next(self, action: Json | None) -> None:
        if action is None:
            self._tell(f"{self._incident_id} is closed. Its report, on one page:")
            self._say(f"  {self._company.url}/incidents/{self._incident_id}/report")
            self._say("Look around as long as you like; Ctrl-C ends the demo.")
            return
        who = f" ({action['who']})" if action["who"] else ""
        self._tell(f"Next, {action['phase']}: {action['title']}{who}. {sentence(action['why'])}")

    def _patch_when_asked(self, path: str, *, entered: bool) -> None:
        """Let the agent's developer apply the patched manifest, once the incident asks for it."""
        checks = {each["check"]: each["state"] for each in self._company.lee.get(f"{path}/return")["checks"]}
        if checks[ReenableCheck.CONTROL_PATCHED] in GOOD:
            return
        reason = f"{self._incident_id}: keys, fresh inputs, fewer permissions"
        if "patch" not in self._shown:
            self._shown.add("patch")
            self._say("The agent's developer has a patched manifest ready. To apply it as lee:")
            self._say(f"  STOPWORK_URL={self._company.url} STOPWORK_TOKEN={self._company.lee.token} \\")
            self._say(
                f"  {this_command()} apply {shlex.quote(str(MANIFEST_FIXED))} --yes --reason {shlex.quote(reason)}"
            )
            if self._keyboard.listens:
                self._say("or press Enter here.")
        elif entered:
            applied = self._company.apply(MANIFEST_FIXED, reason=reason)
            self._tell(
                f"Version {applied['version']} is in force: {count_of(len(applied['changes']), 'change')}."
            )

    def _run_the_stage(self, *, entered: bool) -> None:
        """Start the repaired agent once on each stage that is given back, and again when the visitor asks for it."""
        workflow = self._company.lee.get(f"/v1/workflows/{WORKFLOW}")
        returned = self._company.lee.get(f"/v1/incidents/{self._incident_id}")["reenabled_at"] is not None
        at = (workflow["stage"], workflow["stage_since"])
        if not returned or self._agent is not None or (at == self._ran_at and not entered):
            return
        self._ran_at = at
        self._tell(f"The repaired agent starts a run at the stage {_words(workflow['stage'])}.")
        self._agent = self._company.start_agent(
            AgentMode.STAGE_RUN, accounts=ACCOUNTS_PER_RUN, approval_wait_s=APPROVAL_WAIT_S
        )


def _words(stage: Stage | str) -> str:
    return str(stage).replace("_", " ")
