/**
 * When the job was submitted, started and ended, and how long it waited and ran. A worker records the start at once, a
 * deferred task only when the job ends. Until then, unless SageMaker is asked, it is unknown whether the job runs yet.
 */

import { el } from "./dom.js";
import { between, duration, time } from "./format.js";

const LEAST_SHARE = 0.12; // of the bar, so that each part's text fits

/** @param {{job: object, now: string|null}|null} shown `now` while the job goes on */
export function timeline(shown) {
  if (!shown) return [];
  const { job, now } = shown;
  const submitted = job.created_at ?? job.submitted_at;
  const stop = job.stop_requested_at && !job.ended_at ? [["Stop requested", job.stop_requested_at]] : [];
  const moments = [["Submitted", submitted], ["Started", job.started_at], ...stop, ["Ended", job.ended_at]];
  const drawn = stop.length ? until(job.stop_requested_at, submitted, job) : bar(submitted, job, now);
  return [drawn, el("ol", { class: "moments" }, ...moments.map(moment))];
}

/** The bar of a job that is being stopped: the tasks that would see its end may be over, so it doesn't go on. */
function until(stop, submitted, job) {
  if (!job.started_at) return el("div", { class: "bar" }, piece("queued", "waited or ran, until the stop was requested:", between(submitted, stop), 1));
  return bar(submitted, { ...job, ended_at: stop }, null);
}

function moment([title, iso]) {
  const value = iso ? el("time", { datetime: iso }, time(iso)) : "not recorded yet";
  return el("li", {}, el("span", { class: "label" }, title), el("span", {}, value));
}

function bar(submitted, job, now) {
  if (now && !job.started_at) return el("div", { class: "bar" }, piece("going", "waiting or running for", between(submitted, now), 1));
  const queued = between(submitted, job.started_at ?? job.ended_at);
  const ran = job.started_at ? job.duration_seconds ?? between(job.started_at, job.ended_at ?? now) : null;
  const whole = (queued ?? 0) + (ran ?? 0) || 1;
  const runs = now ? piece("going", "running for", ran, whole) : piece("ran", "ran", ran, whole);
  return el("div", { class: "bar" }, piece("queued", "waited", queued, whole), runs);
}

function piece(kind, word, seconds, whole) {
  if (seconds === null) return null;
  const element = el("span", { class: `piece ${kind}` }, `${word} ${duration(seconds)}`);
  element.style.flexGrow = String(Math.max(seconds / whole, LEAST_SHARE));
  return element;
}
