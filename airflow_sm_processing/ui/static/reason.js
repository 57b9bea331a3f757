/** Why the job failed or stopped. */

import { el } from "./dom.js";

const GENERIC = /^AlgorithmError\b/; // SageMaker's reason for any script that fails

/**
 * What was said about a job's end, with who said it, the most telling first: the script knows best why it failed, and
 * SageMaker why the script couldn't run.
 *
 * @param {object} job @returns {[string, string][]}
 */
export function causes(job) {
  const script = [["Exit message", job.exit_message], ["Log", job.error_line]];
  const service = ["SageMaker", job.failure_reason];
  const ordered = GENERIC.test(job.failure_reason ?? "AlgorithmError") ? [...script, service] : [service, ...script];
  return ordered.filter(([, text]) => text);
}

/** @param {object|null} job */
export function reason(job) {
  if (!job) return [];
  if (job.status !== "Failed" && job.status !== "Stopped") {
    return job.exit_message ? [said("Exit message", "plain", el("p", { class: "text", dir: "auto" }, job.exit_message))] : [];
  }
  const isFailed = job.status === "Failed";
  const none = isFailed ? "SageMaker reported no reason." : "The job was stopped; SageMaker reported no reason.";
  const found = causes(job);
  const content = found.length ? el("dl", {}, ...found.map(cause)) : el("p", { class: "text" }, none);
  return [said(isFailed ? "Failure reason" : "Stop reason", isFailed ? "failed" : "stopped", content)];
}

function cause([source, text]) {
  return el("div", {}, el("dt", {}, source), el("dd", { class: "text", dir: "auto" }, text));
}

function said(title, kind, content) {
  return el("div", { class: `said ${kind}` }, el("h2", {}, title), content);
}
