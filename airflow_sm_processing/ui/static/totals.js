/** Totals of the jobs that match the filters. */

import { el } from "./dom.js";
import { count, duration, wholeSeconds } from "./format.js";

/** @param {object} sums */
export function totals(sums) {
  const share = sums.jobs && sums.failed ? `${((100 * sums.failed) / sums.jobs).toFixed(1)} % of jobs` : null;
  return [
    tile("Jobs", count(sums.jobs), sums.running ? `${count(sums.running)} in progress` : null),
    tile("Failed", count(sums.failed), share, sums.failed ? "failed" : null),
    tile("Stopped", count(sums.stopped)),
    tile("Instance-seconds", wholeSeconds(sums.instance_seconds), sums.instance_seconds >= 60 ? duration(sums.instance_seconds) : null),
  ];
}

function tile(title, value, more = null, kind = null) {
  const note = more ? el("span", { class: "muted" }, more) : null;
  return el("div", { class: "tile" }, el("span", { class: "label" }, title), el("strong", { class: kind }, value), note);
}
