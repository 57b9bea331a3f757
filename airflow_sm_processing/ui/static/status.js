/** A job's status as a badge: a word and a colour, never a colour alone. */

import { el } from "./dom.js";

/** @type {Object<string, {kind: string, label: string, help: string}>} */
export const STATUSES = {
  InProgress: { kind: "running", label: "In progress", help: "waiting for instances or running" },
  Stopping: { kind: "running", label: "Stopping", help: "a stop was requested, and the job is ending" },
  Completed: { kind: "completed", label: "Completed", help: "finished successfully" },
  Failed: { kind: "failed", label: "Failed", help: "finished with an error" },
  Stopped: { kind: "stopped", label: "Stopped", help: "stopped by a user or by its time limit" },
  Unknown: { kind: "unknown", label: "Unknown", help: "the job's end was not recorded" },
};

/** @param {string} status */
export function isTerminal(status) {
  return status === "Completed" || status === "Failed" || status === "Stopped";
}

/** @param {string} status @param {string|null} [note] */
export function badge(status, note) {
  const known = Object.hasOwn(STATUSES, status) ? STATUSES[status] : { kind: "unknown", label: status, help: "" };
  return el("span", { class: `badge ${known.kind}`, title: note ?? known.help }, known.label);
}
