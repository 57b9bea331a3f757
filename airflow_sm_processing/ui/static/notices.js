/** Messages in place of missing content, or above the content. */

import { explain } from "./api.js";
import { el } from "./dom.js";

/** @param {string} title @param {...(string|Node|null)} lines */
export function empty(title, ...lines) {
  const texts = lines.filter(Boolean).map((line) => el("p", {}, line));
  return el("div", { class: "empty" }, el("h2", {}, title), ...texts);
}

/** @param {string[]} notes from the API */
export function notices(notes) {
  return notes.map((note) => el("p", { class: "notice" }, note));
}

/**
 * @param {HTMLElement} host a live region
 * @param {Error|null} error
 * @param {number} waitSeconds until the next request
 */
export function showError(host, error, waitSeconds) {
  document.getElementById("loading")?.remove(); // there is an answer
  if (!error) return host.replaceChildren();
  const { title, text } = explain(error);
  const again = el("span", {}, ` Retrying in ${Math.round(waitSeconds)} s.`);
  host.replaceChildren(el("p", { class: "notice error" }, el("strong", {}, `${title}. `), text, again));
}
