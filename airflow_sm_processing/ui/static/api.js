/** The backend's JSON, at addresses relative to the page: Airflow may stand below a path. */

export class ApiError extends Error {
  /** @param {number} status 0 if there was no answer */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** @param {URLSearchParams} [query] */
export function read(path, query) {
  return answer(path, query, {});
}

/** The header tells the backend that a page of ours asks: a form or link of another site can't send it. */
export function change(path, query, body) {
  const headers = { "Content-Type": "application/json", "X-SM-Processing": "stop" };
  return answer(path, query, { method: "POST", headers, body: JSON.stringify(body) });
}

async function answer(path, query, options) {
  const url = new URL(`api/${path}`, document.baseURI);
  url.search = query ? query.toString() : "";
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options });
  } catch {
    throw new ApiError(0, "Airflow's API server can't be reached.");
  }
  const content = await response.json().catch(() => null);
  if (!response.ok) throw new ApiError(response.status, detailOf(content, response));
  if (content === null) throw new ApiError(response.status, "Airflow's API server gave an answer that isn't JSON.");
  return content;
}

function detailOf(content, response) {
  const detail = content && content.detail;
  return typeof detail === "string" ? detail : `Airflow's API server answered ${response.status} ${response.statusText}.`;
}

/** What the user reads and can do, by the kind of error. @returns {{title: string, text: string}} */
export function explained(error) {
  const titles = {
    0: "Not connected",
    401: "You are not logged in",
    403: "You don't have permission",
    404: "Nothing here",
  };
  const hints = { 401: "Log in to Airflow, in this or another tab; this page then goes on by itself." };
  const title = titles[error.status] ?? "Something went wrong";
  return { title, text: hints[error.status] ?? error.message };
}
