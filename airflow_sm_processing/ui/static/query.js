/**
 * Keeps the filters, order and page in the address, so that they can be bookmarked, shared and reached with the back
 * button. The query is copied to the address of Airflow's page, which is the one that users see.
 */

import { airflow } from "./frame.js";
import { STATUSES } from "./status.js";

const HOUR = 3600000; // milliseconds
const PERIODS = { "24h": 24 * HOUR, "7d": 7 * 24 * HOUR, "30d": 30 * 24 * HOUR, "90d": 90 * 24 * HOUR };
const TEXTS = ["dag_id", "task_id", "name", "period", "since", "until"];
const MAX_LENGTH = 500; // characters of a text that the API accepts
const SORTS = ["submitted_at", "ended_at", "duration_seconds", "instance_seconds", "job_name", "status", "dag_id", "task_id"];
const SIZES = [25, 50, 100];
const LAST_PAGE = 1000000;
const DEFAULTS = { sort: "submitted_at", descending: true, page: 1, size: SIZES[0] };

/**
 * Invalid values in the address are replaced by defaults.
 * @returns {object} the state in this page's address, or in Airflow's if the frame's has no query
 */
export function readState() {
  const query = new URLSearchParams(location.search || (airflow?.location.search ?? ""));
  const texts = Object.fromEntries(TEXTS.map((name) => [name, (query.get(name) ?? "").slice(0, MAX_LENGTH)]));
  if (texts.period !== "custom" && !Object.hasOwn(PERIODS, texts.period)) texts.period = "";
  return {
    ...texts,
    statuses: query.getAll("status").filter((status) => Object.hasOwn(STATUSES, status)),
    sort: SORTS.find((sort) => sort === query.get("sort")) ?? DEFAULTS.sort,
    descending: query.get("order") !== "ascending",
    page: Math.min(Math.max(1, Number.parseInt(query.get("page") ?? "1", 10) || 1), LAST_PAGE),
    size: SIZES.find((size) => String(size) === query.get("size")) ?? DEFAULTS.size,
  };
}

/** @param {object} state @param {{push: boolean}} how `push`: whether the back button undoes the change */
export function writeState(state, { push }) {
  const query = new URLSearchParams(TEXTS.filter((name) => state[name]).map((name) => [name, state[name]]));
  for (const status of state.statuses) query.append("status", status);
  if (state.sort !== DEFAULTS.sort) query.set("sort", state.sort);
  if (!state.descending) query.set("order", "ascending");
  if (state.page !== 1) query.set("page", state.page);
  if (state.size !== DEFAULTS.size) query.set("size", state.size);
  history[push ? "pushState" : "replaceState"](null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
  mirror();
}

/** @param {(state: object) => void} returned called when the user goes back or forward */
export function onReturn(returned) {
  addEventListener("popstate", () => {
    mirror();
    returned(readState());
  });
}

function mirror() {
  airflow?.history.replaceState(airflow.history.state, "", `${airflow.location.pathname}${location.search}`);
}

/** The filters as query parameters of the API. @param {object} state */
export function filterQuery(state) {
  const query = new URLSearchParams(state.statuses.map((status) => ["status", status]));
  for (const name of ["dag_id", "task_id", "name"]) if (state[name]) query.set(name, state[name]);
  for (const [name, moment] of Object.entries(period(state))) if (moment) query.set(name, moment);
  if (state.offset !== false) query.set("tz_offset", -new Date().getTimezoneOffset());
  return query;
}

/** The filters, order and page as query parameters of the API. @param {object} state */
export function listQuery(state) {
  const query = filterQuery({ ...state, offset: false });
  query.set("sort", state.sort);
  query.set("descending", state.descending);
  query.set("limit", state.size);
  query.set("offset", (state.page - 1) * state.size);
  return query;
}

function period({ period: name, since, until }) {
  if (name === "custom") return { since: utc(since), until: utc(until) };
  return Object.hasOwn(PERIODS, name) ? { since: new Date(Date.now() - PERIODS[name]).toISOString() } : {};
}

function utc(local) {
  const moment = new Date(local);
  return Number.isNaN(moment.getTime()) ? null : moment.toISOString();
}
