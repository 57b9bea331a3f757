/** The task instance whose tab this is. */

/**
 * @param {string} search the query of the tab's address. Airflow's UI may not have encoded it, so that a `+` is a plus
 *   (URLSearchParams makes it a space), and it leaves `{MAP_INDEX}` as it is for a task that isn't mapped.
 * @returns {{dagId: string, query: URLSearchParams}}
 */
export function taskOf(search) {
  const given = Object.fromEntries(search.slice(1).split("&").map(pair));
  const mapIndex = /^-?\d+$/.test(given.map_index ?? "") ? given.map_index : "-1";
  const query = new URLSearchParams({ run_id: given.run_id ?? "", task_id: given.task_id ?? "", map_index: mapIndex });
  return { dagId: given.dag_id ?? "", query };
}

function pair(text) {
  const [name, ...value] = text.split("=");
  return [name, decoded(value.join("="))];
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a literal %
  }
}
