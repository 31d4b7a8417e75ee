// What the pages do beyond HTML: follow the journal, keep ages true, keys, copying, and focus after a change.
// Every page works without this file; nothing here decides anything.
"use strict";

(() => {
  const REFRESH_MS = 300; // a burst of entries asks for one fresh page
  const TICK_MS = 1000;

  const page = () => document.getElementById("page");
  const openTyping = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? "");

  // --- following the journal -----------------------------------------------------------------

  let refresh = 0;

  function makeStale() {
    clearTimeout(refresh);
    refresh = setTimeout(() => page()?.dispatchEvent(new CustomEvent("stale")), REFRESH_MS);
  }

  function concerns(entry, watch) {
    if (watch === "all") return true;
    const [field, id] = watch.split(/:(.*)/);
    return entry[field] === id;
  }

  document.addEventListener("entry", (event) => {
    try {
      if (concerns(JSON.parse(event.detail.data), page()?.dataset.watch ?? "none")) makeStale();
    } catch {
      makeStale(); // an entry that cannot be read is a reason to look, not to ignore
    }
  });

  let liveState = "off";

  function showLive(state) {
    liveState = state;
    const live = document.getElementById("live");
    if (!live) return;
    live.dataset.state = state;
    live.textContent = { on: "live", lost: "connection lost", off: "not live" }[state];
  }

  document.addEventListener("htmx:sse:after:connection", (event) => {
    if (event.detail.connection.status !== 200) return showLive("lost");
    if (liveState === "lost") makeStale();
    showLive("on");
  });
  document.addEventListener("htmx:sse:error", () => showLive("lost"));
  document.addEventListener("htmx:sse:close", () => showLive("lost"));
  document.addEventListener("htmx:error", () => showLive("lost"));

  // --- what a refresh must not disturb -------------------------------------------------------

  // A form that somebody is filling in keeps what was typed: the refresh passes over it.
  document.addEventListener("input", (event) => event.target.closest("form[method=post]")?.setAttribute("hx-morph-skip", ""));

  document.addEventListener("htmx:after:swap", () => {
    showLive(liveState);
    tick();
    syncSelectAll();
  });
  // What came of a form is read out and is where the keyboard goes on from.
  function announce() {
    if (!document.querySelector("#flash .flash") || document.activeElement !== document.body) return;
    document.getElementById("flash").focus({ preventScroll: true });
  }

  // --- times ---------------------------------------------------------------------------------

  const skew = Date.now() - Date.parse(page()?.dataset.now ?? new Date().toISOString());

  function span(milliseconds) {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    const parts = [
      [Math.floor(seconds / 86400), "d", Math.floor((seconds % 86400) / 3600), "h"],
      [Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min"],
      [Math.floor(seconds / 60), "min", seconds % 60, "s"],
    ];
    for (const [large, unit, small, smaller] of parts) {
      if (large) return small ? `${large} ${unit} ${small} ${smaller}` : `${large} ${unit}`;
    }
    return `${seconds} s`;
  }

  function tick() {
    const now = Date.now() - skew;
    for (const time of document.querySelectorAll("time[data-age], time[data-elapsed]")) {
      const gap = now - Date.parse(time.dateTime);
      let text = span(Math.abs(gap));
      if ("age" in time.dataset) text = Math.abs(gap) < 5000 ? "just now" : gap > 0 ? `${text} ago` : `in ${text}`;
      if (time.textContent !== text) time.textContent = text;
    }
  }

  setInterval(tick, TICK_MS);

  // A time that somebody gives is one of their own clock.
  function chooseOwnZone() {
    const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
    for (const zones of document.querySelectorAll("select[data-own-zone]")) {
      if (own && ![...zones.options].some((each) => each.value === own)) zones.add(new Option(own));
      if (own) zones.value = own;
    }
  }

  // --- opening what a link points to ---------------------------------------------------------

  function reveal(id) {
    const target = id && document.getElementById(id);
    if (!target) return;
    for (let details = target.closest("details"); details; details = details.parentElement.closest("details")) details.open = true;
    target.scrollIntoView({ block: "start" });
  }

  window.addEventListener("hashchange", () => reveal(location.hash.slice(1)));
  // On a narrow screen the phases are a strip: what is asked now belongs in sight.
  function showCurrentPhase() {
    const now = document.querySelector(".rail [aria-current]");
    if (now) now.closest(".rail").scrollLeft = now.offsetLeft - 16;
  }

  window.addEventListener("DOMContentLoaded", () => {
    reveal(location.hash.slice(1));
    showCurrentPhase();
    syncSelectAll();
    chooseOwnZone();
  });
  window.addEventListener("load", () => setTimeout(announce)); // after the browser has gone to the address's fragment

  document.addEventListener("click", async (event) => {
    const source = event.target.closest?.("[data-open], [data-copy], [data-print]");
    if (!source) return;
    if (source.dataset.open) reveal(source.dataset.open);
    if ("print" in source.dataset) window.print();
    if (source.dataset.copy) {
      try {
        await navigator.clipboard.writeText(source.dataset.copy);
        source.textContent = "Copied";
      } catch {
        source.textContent = "Select and copy";
      }
      setTimeout(() => (source.textContent = "Copy"), 2000);
    }
  });

  // --- selecting all -------------------------------------------------------------------------

  function syncSelectAll() {
    for (const group of document.querySelectorAll("[data-select-group]")) {
      const all = group.querySelector("[data-select-all]");
      const boxes = [...group.querySelectorAll("[data-select]")];
      const ticked = boxes.filter((box) => box.checked).length;
      if (!all) continue;
      all.checked = ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    }
  }

  document.addEventListener("change", (event) => {
    const group = event.target.closest("[data-select-group]");
    if (!group) return;
    if ("selectAll" in event.target.dataset) {
      for (const box of group.querySelectorAll("[data-select]")) box.checked = event.target.checked;
    }
    syncSelectAll();
  });

  // --- keys ----------------------------------------------------------------------------------

  const GO = { b: "/", i: "/incidents", a: "/approvals", d: "/drafts", h: "/holds", j: "/journal" };
  let going = 0;

  // A decision is made on the proposal that has the focus, and on no other: without one the first is chosen and nothing is done.
  function chosenProposal() {
    return document.activeElement?.closest("[data-proposal]");
  }

  function chooseProposal(step) {
    const every = [...document.querySelectorAll("[data-proposal]")];
    const place = every.indexOf(chosenProposal());
    every[place < 0 ? 0 : Math.min(Math.max(place + step, 0), every.length - 1)]?.focus();
  }

  function decideProposal(key) {
    const row = chosenProposal();
    if (!row) return chooseProposal(0);
    const control = row.querySelector(`[data-key="${key}"]`);
    if (!control) return;
    if (control.tagName !== "SUMMARY") return control.click();
    control.parentElement.open = true;
    setTimeout(() => control.parentElement.querySelector("select, input:not([type=hidden])").focus());
  }

  // An entry of a timeline is pinned while it has the focus.
  function chosenEntry() {
    return document.activeElement?.closest("[data-entry]");
  }

  function chooseEntry(step) {
    const every = [...document.querySelectorAll("[data-entry]")];
    const at = every.indexOf(chosenEntry());
    every[at < 0 ? 0 : Math.min(every.length - 1, Math.max(0, at + step))].focus();
  }

  document.addEventListener("keydown", (event) => {
    const shortcuts = document.getElementById("shortcuts");
    if (!shortcuts || event.ctrlKey || event.metaKey || event.altKey || openTyping()) return;
    if (Date.now() - going < 1500 && GO[event.key]) {
      going = 0;
      location.assign(GO[event.key]);
    } else if (event.key === "g") {
      going = Date.now();
    } else if (event.key === "?") {
      shortcuts.showModal();
    } else if (event.key === "p" && chosenEntry()) {
      chosenEntry().querySelector("[data-pin]").click();
    } else if ("jk".includes(event.key) && document.querySelector("[data-entry]")) {
      chooseEntry(event.key === "j" ? 1 : -1);
    } else if (event.key === "p") {
      location.assign("/pause");
    } else if (event.key === "j" || event.key === "k") {
      chooseProposal(event.key === "j" ? 1 : -1);
    } else if ("adm".includes(event.key) && document.querySelector("[data-proposal]")) {
      decideProposal(event.key);
    } else if (event.key === "t") {
      document.querySelector("[data-take]")?.click();
    } else if (event.key === "n") {
      document.querySelector("#next a")?.click();
    }
  });
})();
