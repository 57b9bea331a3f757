/** The job's name, status and links. */

import { el } from "./dom.js";
import { inside, isWeb, outside } from "./links.js";
import { badge } from "./status.js";

const PAGES = { Job: "SageMaker console", Logs: "CloudWatch logs", Outputs: "Outputs in S3" };

/** @param {object} job @param {string} logsUrl the task's page in Airflow */
export function head(job, logsUrl) {
  const title = el("h1", {}, badge(job.status, job.status_note), " ", el("bdi", { class: "name" }, job.job_name));
  return [title, note(job), links(job, logsUrl)];
}

function note(job) {
  return job.status_note ? el("p", { class: "muted" }, job.status_note) : null;
}

function links(job, logsUrl) {
  const consoles = Object.entries(PAGES).filter(([page]) => isWeb(job.links[page]));
  const items = consoles.map(([page, title]) => outside(title, job.links[page]));
  return el("nav", { class: "links", "aria-label": "Links" }, inside("Airflow's logs", logsUrl), ...items);
}
