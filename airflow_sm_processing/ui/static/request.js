/** The CreateProcessingJob request, to read and copy. */

import { copyTo } from "./copy.js";
import { el } from "./dom.js";

/** @param {object|null} sent */
export function request(sent) {
  if (!sent) return [];
  const text = JSON.stringify(sent, null, 2);
  const code = el("pre", { tabindex: "0", "aria-label": "The request as JSON" }, text);
  const button = el("button", { type: "button", on: { click: () => copyTo(button, text, code) } }, "Copy as JSON");
  const head = el("summary", {}, "Request (CreateProcessingJob)");
  return [el("details", { class: "box" }, head, el("div", { class: "request" }, button, code))];
}
