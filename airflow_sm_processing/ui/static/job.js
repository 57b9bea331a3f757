/** The tab "Processing job" of a task instance: it follows the job until its end, and stays for the next try's. */

import { read } from "./api.js";
import { region } from "./dom.js";
import { earlier } from "./earlier.js";
import { facts } from "./facts.js";
import { head } from "./head.js";
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

const WHILE_RUNNING = 3000;
const WHILE_UNKNOWN = 10000; // its task may yet record how it left the job
const WHEN_SETTLED = 30000; // somebody may clear the task
const ENDED = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);

const task = taskOf(location.search);
const part = (id, draw) => region(document.getElementById(id), draw);
const parts = {
  notes: part("notes", notices),
  head: part("head", ({ job, instance, logsUrl }) => (job ? head(job, logsUrl) : [noJob(instance)])),
  stop: part("stop", (shown) => (shown ? [stopButton(shown.job, shown.stop, task, () => look())] : [])),
  reason: part("reason", reason),
  timeline: part("timeline", timeline),
  facts: part("facts", facts),
  places: part("places", places),
  log: part("log", log),
  request: part("request", request),
  earlier: part("earlier", earlier),
};

const look = poll(async () => {
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
  parts.log(job && { job, tail: details?.log_tail, logsUrl });
  parts.places(details && { inputs: details.inputs, outputs: details.outputs, ended: isTerminal(job.status) });
  parts.request(details?.request ?? null);
  parts.earlier(before);
  document.body.dataset.ready = job ? job.status : "none";
}

/** What the head shows: it isn't drawn again for a change of anything else. */
function headOf({ job_name, status, status_note, links }) {
  return { job_name, status, status_note, links };
}

function noJob({ state, operator }) {
  const title = "This task instance has recorded no processing job";
  const going = ENDED.has(state) ? "It has ended." : "It has not submitted one yet; this page shows the job as soon as it does.";
  const kind = operator ? `Its operator is ${operator}. ` : "";
  return empty(title, going, `${kind}Tasks of airflow-sm-processing record their jobs, from submission on.`);
}
