/** The table of jobs, sorted by clicking a column's title. */

import { breakable } from "./copy.js";
import { el } from "./dom.js";
import { duration, instances, time, wholeSeconds } from "./format.js";
import { inside, isWeb, outside } from "./links.js";
import { empty } from "./notices.js";
import { causes } from "./reason.js";
import { badge } from "./status.js";

/** Each column's title and sort key. @type {[string, string|null][]} */
const COLUMNS = [
  ["Status", "status"],
  ["Job", "job_name"],
  ["DAG", "dag_id"],
  ["Task", "task_id"],
  ["Submitted", "submitted_at"],
  ["Run time", "duration_seconds"],
  ["Instances", null],
  ["Instance-seconds", "instance_seconds"],
  ["Links", null],
];
const TEXTS = new Set(["status", "job_name", "dag_id", "task_id"]); // sorted ascending at the first click, the others descending

/** @param {{jobs: object[], sort: string, descending: boolean, filtered: boolean, go: Function}} shown */
export function table({ jobs, sort, descending, filtered, go }) {
  if (!jobs.length) return [nothing(filtered)];
  const heads = COLUMNS.map(([title, key]) => head(title, key, { sort, descending, go }));
  return [el("table", { class: "cards" }, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...jobs.map(row)))];
}

function nothing(filtered) {
  if (filtered) return empty("No jobs match these filters", "Clear some filters to see more jobs.");
  return empty("No processing jobs yet", "Jobs appear here once a task submits one.");
}

function head(title, key, { sort, descending, go }) {
  if (key === null) return el("th", { scope: "col" }, title);
  const sorted = key === sort;
  const turn = () => go({ sort: key, descending: sorted ? !descending : !TEXTS.has(key) });
  const order = sorted ? (descending ? "descending" : "ascending") : null;
  return el("th", { scope: "col", "aria-sort": order }, el("button", { type: "button", class: "sort", on: { click: turn } }, title));
}

function row(job) {
  const mapped = job.map_index >= 0 ? ` [${job.map_index}]` : "";
  const cell = (label, kind, ...children) => el("td", { "data-label": label, class: kind }, ...children);
  return el(
    "tr",
    {},
    cell("Status", "status", badge(job.status, job.status_note)),
    cell("Job", "job", inside(breakable(job.job_name), job.tab_url, `${job.job_name}: open the tab Job`), why(job)),
    cell("DAG", "name", inside(breakable(job.dag_id), job.dag_url)),
    cell("Task", "name", inside(breakable(`${job.task_id}${mapped}`), job.task_url, `Task instance of ${job.job_name}`), job.superseded ? el("span", { class: "muted" }, " earlier try") : null),
    cell("Submitted", "when", el("time", { datetime: job.submitted_at }, time(job.submitted_at))),
    cell("Run time", "number", duration(job.duration_seconds)),
    cell("Instances", "when", instances(job)),
    cell("Instance-seconds", "number", wholeSeconds(job.instance_seconds)),
    cell("Links", "links", ...links(job)),
  );
}

function why(job) {
  if (job.status !== "Failed") return null;
  const reason = causes(job).map(([, text]) => text).join(" · ");
  return reason ? el("span", { class: "why", dir: "auto", title: reason }, reason) : null;
}

function links(job) {
  const pages = [["Console", job.links.Job], ["CloudWatch", job.links.Logs]].filter(([, url]) => isWeb(url));
  return pages.length ? pages.map(([title, url]) => outside(title, url)) : ["–"];
}
