/** Links to the AWS console and within Airflow. Any other address is shown as plain text. */

import { el } from "./dom.js";
import { followInAirflow } from "./frame.js";

/** @param {string|(Node|string)[]} text @param {string|null} url @returns {HTMLElement} */
export function outside(text, url) {
  if (!isWeb(url)) return el("span", {}, ...[text].flat());
  const attributes = { href: url, target: "_blank", rel: "noopener noreferrer", class: "outside" };
  return el("a", { ...attributes, on: { click: followInAirflow } }, ...[text].flat());
}

/** @param {string|(Node|string)[]} text @param {string|null} path of Airflow's own UI @param {string} [label] for screen readers */
export function inside(text, path, label) {
  if (!isPath(path)) return el("bdi", {}, ...[text].flat());
  return el("a", { href: path, target: "_top", "aria-label": label, on: { click: followInAirflow } }, el("bdi", {}, ...[text].flat()));
}

/** Whether an address may be a link to another site. @param {string|null|undefined} url */
export function isWeb(url) {
  return typeof url === "string" && url.startsWith("https://") && URL.canParse(url);
}

function isPath(path) {
  return typeof path === "string" && path.startsWith("/") && new URL(path, location.origin).origin === location.origin;
}
