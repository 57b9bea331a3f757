/** The tab "Job" of a task instance: it refreshes until the job ends, and shows the next try's job, too. */

import { read } from "./api.js";
import { el, region } from "./dom.js";
import { earlier } from "./earlier.js";
import { facts } from "./facts.js";
import { head } from "./head.js";
import { inside } from "./links.js";
import { log } from "./log.js";
import { empty, notices, showError } from "./notices.js";
import { places } from "./places.js";
import { poll } from "./poll.js";
import { reason } from "./reason.js";
import { request } from "./request.js";
import { isTerminal } from "./status.js";
import { stopButton } from "./stop.js";
import { taskOf } from "./task.js";
import { timeline } from "./timeline.js";

const WHILE_RUNNING = 3000; // milliseconds between requests
const WHILE_UNKNOWN = 10000; // the task may still record the job's status
const WHEN_SETTLED = 30000; // the task may be cleared
const ENDED = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);
const FAILED = new Set(["failed", "up_for_retry"]);

const task = taskOf(location.search);
const part = (id, draw) => region(document.getElementById(id), draw);
const parts = {
  notes: part("notes", notices),
  head: part("head", ({ job, instance, logsUrl }) => (job ? head(job, logsUrl) : [noJob(instance, logsUrl)])),
  stop: part("stop", (shown) => (shown ? [stopButton(shown.job, shown.stop, task, () => refresh())] : [])),
  reason: part("reason", reason),
  timeline: part("timeline", timeline),
  facts: part("facts", facts),
  places: part("places", places),
  log: part("log", log),
  request: part("request", request),
  earlier: part("earlier", earlier),
};

const refresh = poll(async () => {
  const found = await read(`dags/${encodeURIComponent(task.dagId)}/job`, task.query);
  show(found);
  if (isSettled(found)) return WHEN_SETTLED;
  return found.job?.status === "Unknown" ? WHILE_UNKNOWN : WHILE_RUNNING;
}, (error, wait) => showError(document.getElementById("error"), error, wait));

function isSettled({ job, task: instance }) {
  return ENDED.has(instance.state) && (!job || isTerminal(job.status));
}

function show({ job, details, earlier: before, task: instance, stop, logs_url: logsUrl, now, notes }) {
  parts.notes(notes ?? []);
  parts.head({ job: job && headOf(job), instance, logsUrl });
  parts.stop(job && { job: headOf(job), stop });
  parts.reason(job);
  parts.timeline(job && { job, now: isTerminal(job.status) || job.status === "Unknown" ? null : now });
  parts.facts(job);
  placeLog(job);
  if (parts.log(job && { job, tail: details?.log_tail, logsUrl })) showLogEnd();
  parts.places(details && { inputs: details.inputs, outputs: details.outputs, ended: isTerminal(job.status) });
  parts.request(details?.request ?? null);
  parts.earlier(before);
  document.body.dataset.ready = job ? job.status : "none";
}

/** Why a script failed comes before when it ran and on what. */
function placeLog(job) {
  const log = document.getElementById("log");
  const isFailed = job?.status === "Failed";
  const next = document.getElementById(isFailed ? "timeline" : "places");
  log.classList.toggle("first", isFailed);
  if (log.nextElementSibling !== next) next.before(log);
}

function showLogEnd() {
  for (const lines of document.querySelectorAll("#log pre")) lines.scrollTop = lines.scrollHeight;
}

/** The fields in the head, which is rendered again only if one of them changes. */
function headOf({ job_name, status, status_note, links }) {
  return { job_name, status, status_note, links };
}

function noJob({ state, operator }, logsUrl) {
  const kind = operator ? `Its operator is ${operator}. ` : "";
  const only = `${kind}Only tasks of airflow-sm-processing record processing jobs.`;
  if (FAILED.has(state)) {
    const where = el("span", {}, "The reason is in ", inside("the task's log", logsUrl), ".");
    return empty("The task failed before it submitted a processing job", where, only);
  }
  const title = "No processing job recorded for this task instance";
  const progress = ENDED.has(state) ? "The task has ended." : "The task hasn't submitted a job yet. The job appears here as soon as it does.";
  return empty(title, progress, only);
}
