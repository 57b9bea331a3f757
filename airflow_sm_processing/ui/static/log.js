/** The log's last lines as they were recorded at the job's end. */

import { el } from "./dom.js";
import { inside } from "./links.js";
import { isTerminal } from "./status.js";

/** @param {{job: object, tail: object[]|undefined, logsUrl: string}|null} shown */
export function log(shown) {
  if (!shown) return [];
  const { job, tail, logsUrl } = shown;
  const live = el("p", { class: "muted" }, "Live lines are in ", inside("Airflow's Logs tab", logsUrl), ".");
  const title = el("h2", {}, "Last log lines");
  if (!tail?.length) return isTerminal(job.status) ? [] : [el("div", { class: "box" }, title, live)];
  return [el("div", { class: "box" }, title, ...tail.flatMap(host))];
}

function host({ host: name, lines }) {
  const text = lines.length ? lines.join("\n") : "(no lines)";
  return [el("h3", {}, el("bdi", {}, name ?? "")), el("pre", { tabindex: "0", "aria-label": `Log of ${name}` }, text)];
}
