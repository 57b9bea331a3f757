/** Requests to the API, relative to the page, as Airflow's base URL may have a path. */

export class ApiError extends Error {
  /** @param {number} status 0 if there was no response */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** @param {URLSearchParams} [query] */
export function read(path, query) {
  return send(path, query, {});
}

/** The header shows the API that this page sends the request: another site's form or link can't add it. */
export function post(path, query, body) {
  const headers = { "Content-Type": "application/json", "X-SM-Processing": "stop" };
  return send(path, query, { method: "POST", headers, body: JSON.stringify(body) });
}

async function send(path, query, options) {
  const url = new URL(`api/${path}`, document.baseURI);
  url.search = query ? query.toString() : "";
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    throw new ApiError(0, "Can't reach Airflow's API server.");
  }
  const content = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, detailOf(content, response));
  if (content === null) throw new ApiError(response.status, "Airflow's API server returned a response that isn't JSON.");
  return content;
}

function detailOf(content, response) {
  const detail = content && content.detail;
  return typeof detail === "string" ? detail : `Airflow's API server returned ${response.status} ${response.statusText}.`;
}

/** What happened and what to do, by the kind of error. @returns {{title: string, text: string}} */
export function explain(error) {
  const titles = {
    0: "Not connected",
    401: "You are not logged in",
    403: "You don't have permission",
    404: "Not found",
  };
  const hints = { 401: "Log in to Airflow in this or another tab. This page then continues automatically." };
  const title = titles[error.status] ?? "Something went wrong";
  return { title, text: hints[error.status] ?? error.message };
}
