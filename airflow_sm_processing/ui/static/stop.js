/** The stop button, and the question that it asks first. */

import { change } from "./api.js";
import { el } from "./dom.js";

const CONSEQUENCES = {
  task: "Airflow marks the task instance as failed, and the task stops its job. It isn't tried again.",
  sagemaker: "Airflow asks SageMaker to stop the job. The task then ends by its on_stopped setting: as failed unless it says otherwise.",
};

/**
 * @param {object} job
 * @param {{possible: boolean, how: string|null, why_not: string|null}} stop
 * @param {{dagId: string, query: URLSearchParams}} task
 * @param {() => void} stopped
 * @returns {HTMLElement|null}
 */
export function stopButton(job, stop, task, stopped) {
  const goesOn = ["InProgress", "Stopping", "Unknown"].includes(job.status);
  if (!stop.possible) return goesOn && stop.why_not ? el("p", { class: "why-not muted" }, stop.why_not) : null;
  const dialog = question(job, stop, async () => {
    await change(`dags/${encodeURIComponent(task.dagId)}/job/stop`, task.query, { job_name: job.job_name });
    stopped();
  });
  const button = el("button", { type: "button", class: "danger", on: { click: () => dialog.showModal() } }, "Stop job");
  return el("div", { class: "stop" }, button, dialog);
}

function question(job, stop, carryOut) {
  const problem = el("p", { class: "problem", role: "alert" });
  const yes = el("button", { type: "button", class: "danger", on: { click: confirmed } }, "Stop the job");
  const no = el("button", { type: "button", autofocus: true, on: { click: () => dialog.close() } }, "Keep it running");
  const dialog = el(
    "dialog",
    { "aria-labelledby": "stop-title" },
    el("h2", { id: "stop-title" }, "Stop this processing job?"),
    el("p", { class: "path" }, el("bdi", {}, job.job_name)),
    el("p", {}, CONSEQUENCES[stop.how]),
    el("p", {}, "What it has not yet uploaded is lost."),
    problem,
    el("div", { class: "buttons" }, no, yes),
  );

  async function confirmed() {
    yes.disabled = true;
    try {
      await carryOut();
      dialog.close();
    } catch (error) {
      problem.textContent = error.message;
    } finally {
      yes.disabled = false;
    }
  }
  return dialog;
}
