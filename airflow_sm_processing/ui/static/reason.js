/** Why the job failed or stopped. */

import { el } from "./dom.js";

/** @param {object|null} job */
export function reason(job) {
  if (!job) return [];
  if (job.status !== "Failed" && job.status !== "Stopped") return [said("Exit message", job.exit_message, "plain")];
  const none = job.status === "Failed" ? "SageMaker reported no reason." : "The job was stopped; SageMaker reported no reason.";
  const why = job.failure_reason || (job.exit_message ? null : none);
  const kind = job.status === "Failed" ? "failed" : "stopped";
  const title = job.status === "Failed" ? "Failure reason" : "Stop reason";
  return [said(title, why, kind), said("Exit message", job.exit_message, kind)];
}

function said(title, text, kind) {
  if (!text) return null;
  return el("div", { class: `said ${kind}` }, el("h2", {}, title), el("p", { class: "text", dir: "auto" }, text));
}
