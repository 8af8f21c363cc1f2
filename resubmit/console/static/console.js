"use strict";
// Live updates of one page. It writes texts, values and what is hidden of nodes that the page marks, and nothing else.
(() => {
  const address = document.body.dataset.events;
  const box = document.querySelector(".live");
  if (!address || !box || !window.EventSource) return;
  const badge = box.querySelector("[data-badge]");
  const button = box.querySelector("[data-stop]");
  let source = null, timer = 0, stopped = false, leave = 0, last = "";

  const say = (text) => { badge.textContent = text; };
  const late = () => { say("not updating" + (last ? " since " + last : "") + ", reload the page"); };
  const watch = () => { clearTimeout(timer); timer = setTimeout(late, 12000); };
  const nodes = (name, key) => document.querySelectorAll("[data-" + name + "=\"" + CSS.escape(key) + "\"]");

  const write = (update) => {
    for (const [key, text] of Object.entries(update.text || {})) {
      for (const node of nodes("text", key)) if (node.textContent !== text) node.textContent = text;
    }
    for (const [key, value] of Object.entries(update.value || {})) {
      for (const node of nodes("value", key)) node.value = value;
    }
    for (const [key, hidden] of Object.entries(update.hidden || {})) {
      for (const node of nodes("hide", key)) node.hidden = hidden;
    }
  };

  const close = () => { if (source) source.close(); source = null; clearTimeout(timer); };
  const open = () => {
    if (source || stopped) return;
    source = new EventSource(address);
    watch();
    source.addEventListener("open", () => say("live"));
    source.addEventListener("error", () => { if (source && source.readyState === EventSource.CLOSED) { close(); late(); } });
    source.addEventListener("still", watch);
    source.addEventListener("message", (event) => {
      last = new Date().toLocaleTimeString();
      say("live " + last);
      watch();
      const update = JSON.parse(event.data);
      write(update);
      if (update.end) { close(); box.hidden = true; }
    });
  };

  button.addEventListener("click", () => {
    stopped = !stopped;
    button.textContent = stopped ? "Update this page again" : "Stop updating this page";
    if (stopped) { close(); say("stopped" + (last ? " at " + last : "")); } else { open(); }
  });
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  document.addEventListener("visibilitychange", () => {
    clearTimeout(leave);
    if (document.hidden) { leave = setTimeout(close, 30000); } else { open(); }
  });
  box.hidden = false;
  open();
})();
