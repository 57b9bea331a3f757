/** The CreateProcessingJob request, to read and copy. */

import { el } from "./dom.js";

const CONFIRMATION = 2000; // milliseconds

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
    showLabel(button, "Copied");
  } catch {
    getSelection().selectAllChildren(code); // browsers allow clipboard access over HTTPS only; Ctrl+C still works
    showLabel(button, "Selected: press Ctrl+C");
  }
}

function showLabel(button, words) {
  button.textContent = words;
  setTimeout(() => { button.textContent = "Copy as JSON"; }, CONFIRMATION);
}
