/** The range of jobs on this page, and buttons for the other pages. */

import { el } from "./dom.js";
import { count } from "./format.js";

/** @param {{total: number, page: number, size: number, go: Function}} shown */
export function pager({ total, page, size, go }) {
  if (!total) return [];
  const last = Math.max(1, Math.ceil(total / size));
  const first = (page - 1) * size + 1;
  const shown = page > last ? "none" : `${count(first)} to ${count(Math.min(total, page * size))}`;
  const to = (title, target) =>
    el("button", { type: "button", disabled: target < 1 || target > last || target === page, on: { click: () => go({ page: target }) } }, title);
  return [
    el("span", { class: "muted", role: "status" }, `${shown} of ${count(total)} ${total === 1 ? "job" : "jobs"}`),
    el("span", { class: "buttons" }, to("First", 1), to("Previous", Math.min(page - 1, last)), to("Next", page + 1), to("Last", last)),
  ];
}
