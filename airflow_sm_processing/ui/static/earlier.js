/** Earlier jobs of the task instance: of earlier tries, or from before it was cleared. */

import { breakable } from "./copy.js";
import { el } from "./dom.js";
import { duration, time } from "./format.js";
import { isWeb, outside } from "./links.js";
import { causes } from "./reason.js";
import { badge } from "./status.js";

/** @param {object[]} jobs the newest first */
export function earlier(jobs) {
  if (!jobs.length) return [];
  const heads = ["Status", "Job", "Try", "Submitted", "Run time", "Reason"].map((text) => el("th", { scope: "col" }, text));
  const table = el("table", { class: "cards" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...jobs.map(row)));
  return [el("div", { class: "box" }, el("h2", {}, "Earlier jobs of this task instance"), table)];
}

function row(job) {
  const name = isWeb(job.links.Job) ? outside(breakable(job.job_name), job.links.Job) : el("bdi", {}, ...breakable(job.job_name));
  const why = job.status_note ?? (causes(job).map(([, text]) => text).join(" · ") || "–");
  return el(
    "tr",
    {},
    el("td", {}, badge(job.status, job.status_note)),
    el("td", { "data-label": "Job", class: "path" }, name),
    el("td", { "data-label": "Try" }, job.try_number ?? "–"),
    el("td", { "data-label": "Submitted" }, time(job.submitted_at)),
    el("td", { "data-label": "Run time" }, duration(job.duration_seconds)),
    el("td", { "data-label": "Reason", class: "why", dir: "auto" }, why),
  );
}
