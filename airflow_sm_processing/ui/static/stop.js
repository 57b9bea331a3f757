/** The stop button and its confirmation dialog. */

import { post } from "./api.js";
import { el } from "./dom.js";

const CONSEQUENCES = {
  task: "Airflow marks the task instance as failed, and the task stops its job. The task is not retried.",
  sagemaker: "Airflow asks SageMaker to stop the job. The task then ends according to its on_stopped setting (failed by default).",
};

/**
 * @param {object} job
 * @param {{possible: boolean, how: string|null, why_not: string|null}} stop
 * @param {{dagId: string, query: URLSearchParams}} task
 * @param {() => void} stopped
 * @returns {HTMLElement|null}
 */
export function stopButton(job, stop, task, stopped) {
  const active = ["InProgress", "Stopping", "Unknown"].includes(job.status);
  if (!stop.possible) return active && stop.why_not ? el("p", { class: "why-not muted" }, stop.why_not) : null;
  const dialog = confirmation(job, stop, async () => {
    await post(`dags/${encodeURIComponent(task.dagId)}/job/stop`, task.query, { job_name: job.job_name });
    stopped();
  });
  const button = el("button", { type: "button", class: "danger", on: { click: () => dialog.showModal() } }, "Stop job");
  return el("div", { class: "stop" }, button, dialog);
}

function confirmation(job, stop, send) {
  const failure = el("p", { class: "problem", role: "alert" });
  const yes = el("button", { type: "button", class: "danger", on: { click: submit } }, "Stop the job");
  const no = el("button", { type: "button", autofocus: true, on: { click: () => dialog.close() } }, "Keep it running");
  const dialog = el(
    "dialog",
    { "aria-labelledby": "stop-title" },
    el("h2", { id: "stop-title" }, "Stop this processing job?"),
    el("p", { class: "path" }, el("bdi", {}, job.job_name)),
    el("p", {}, CONSEQUENCES[stop.how]),
    el("p", {}, "Output that hasn't been uploaded yet is lost."),
    failure,
    el("div", { class: "buttons" }, no, yes),
  );

  async function submit() {
    yes.disabled = true;
    try {
      await send();
      dialog.close();
    } catch (error) {
      failure.textContent = error.message;
    } finally {
      yes.disabled = false;
    }
  }
  return dialog;
}
