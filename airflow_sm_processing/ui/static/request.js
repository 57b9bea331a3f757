/** The request that made the job, to be read and copied. */

import { el } from "./dom.js";

const SAID_FOR = 2000; // milliseconds

/** @param {object|null} sent */
export function request(sent) {
  if (!sent) return [];
  const text = JSON.stringify(sent, null, 2);
  const code = el("pre", { tabindex: "0", "aria-label": "The request as JSON" }, text);
  const button = el("button", { type: "button", on: { click: () => copy(text, code, button) } }, "Copy as JSON");
  const head = el("summary", {}, "Request (CreateProcessingJob)");
  return [el("details", { class: "box" }, head, el("div", { class: "request" }, button, code))];
}

async function copy(text, code, button) {
  try {
    await navigator.clipboard.writeText(text);
    say(button, "Copied");
  } catch {
    getSelection().selectAllChildren(code); // no clipboard without HTTPS: the user's own Ctrl+C still works
    say(button, "Selected: press Ctrl+C");
  }
}

function say(button, words) {
  button.textContent = words;
  setTimeout(() => { button.textContent = "Copy as JSON"; }, SAID_FOR);
}
