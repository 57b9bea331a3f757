/** The job's instances, times and settings. */

import { breakable, copyable } from "./copy.js";
import { el } from "./dom.js";
import { duration, instances, wholeSeconds } from "./format.js";

/** @param {object|null} job */
export function facts(job) {
  if (!job) return [];
  const rows = [
    ["Instances", instances(job), preferences(job)],
    ["Run time", duration(job.duration_seconds)],
    ["Instance-seconds", wholeSeconds(job.instance_seconds)],
    ["Try", job.try_number],
    ["Region", job.region],
    ["AWS connection", job.aws_conn_id],
    ["Image", job.image_uri, null, "the image's URI"],
    ["ARN", job.job_arn, null, "the ARN"],
  ];
  return [el("dl", { class: "facts" }, ...rows.filter(([, value]) => value !== null && value !== "").map(fact))];
}

function fact([title, value, more, copied]) {
  const wide = String(value).length > 40 ? "wide" : null;
  const text = el("bdi", {}, ...breakable(String(value)));
  return el("div", { class: wide }, el("dt", {}, title), el("dd", {}, copied ? copyable(text, value, copied) : text, more));
}

function preferences({ instance_preferences: wanted }) {
  return wanted.length ? el("span", { class: "muted" }, ` preferred: ${wanted.join(", ")}`) : null;
}
