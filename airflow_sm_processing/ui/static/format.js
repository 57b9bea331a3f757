/** Formats numbers and times. */

const NOTHING = "–";

/** @param {number|null} seconds @returns {string} such as `850 ms`, `42 s`, `3 min 05 s`, `2 h 07 min`, `3 d 04 h` */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NOTHING;
  if (seconds > 0 && seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
  return `${Math.floor(whole / 86400)} d ${two(Math.floor(whole / 3600) % 24)} h`;
}

/** @param {number|null} seconds @returns {string} such as `1,234 s` */
export function wholeSeconds(seconds) {
  return seconds === null || seconds === undefined ? NOTHING : `${count(Math.round(seconds))} s`;
}

/** @param {string|null} iso @returns {string} in the user's time zone, such as `2026-11-22 19:04:05` */
export function time(iso) {
  const moment = new Date(iso ?? NaN);
  return Number.isNaN(moment.getTime()) ? NOTHING : `${day(moment)} ${clock(moment)}`;
}

/** @param {Date} moment */
export function day(moment) {
  return `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
}

function clock(moment) {
  return [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(":");
}

/** @param {number} amount @returns {string} such as `12,345` */
export function count(amount) {
  return amount.toLocaleString("en");
}

/** @param {number} bytes @returns {string} such as `1.5 KiB` */
export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toLocaleString("en", { maximumFractionDigits: power ? 1 : 0 })} ${units[power]}`;
}

/** @param {string|null} from @param {string|null} to @returns {number|null} seconds */
export function between(from, to) {
  return from && to ? Math.max(0, (new Date(to) - new Date(from)) / 1000) : null;
}

/** @param {{instance_type: string|null, instance_count: number|null}} job @returns {string} such as `2 × ml.m5.xlarge` */
export function instances(job) {
  const amount = job.instance_count ?? 1;
  return job.instance_type ? `${amount} × ${job.instance_type}` : `${amount} ${amount === 1 ? "instance" : "instances"}`;
}

function two(number) {
  return String(number).padStart(2, "0");
}
