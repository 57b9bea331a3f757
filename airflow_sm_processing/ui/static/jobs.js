/** The page "SageMaker Processing": all recorded jobs, in sums and one by one. */

import { read } from "./api.js";
import { charts } from "./chart.js";
import { region } from "./dom.js";
import { bindFilters } from "./filters.js";
import { notices, showError } from "./notices.js";
import { pager } from "./pager.js";
import { poll } from "./poll.js";
import { filterQuery, listQuery, onReturn, readState, writeState } from "./query.js";
import { table } from "./table.js";
import { totals } from "./totals.js";

const LOOK_EVERY = 15000; // milliseconds

let state = readState();
const part = (id, draw) => region(document.getElementById(id), draw);
const parts = {
  notes: part("notes", notices),
  totals: part("totals", totals),
  charts: part("charts", charts),
  table: part("table", (shown) => table({ ...shown, go })),
  pager: part("pager", (shown) => pager({ ...shown, go })),
};
const fillFilters = bindFilters(document.getElementById("filters"), go);
fillFilters(state);

const look = poll(async () => {
  const asked = state;
  const [found, sums] = await Promise.all([read("jobs", listQuery(asked)), read("totals", filterQuery(asked))]);
  if (asked === state) show(found, sums);
  return LOOK_EVERY;
}, (error, wait) => showError(document.getElementById("error"), error, wait));

onReturn((returned) => {
  state = returned;
  fillFilters(state);
  look();
});

/** Changes what is shown; all but another page begins at the first page. */
function go(changes, { push = true } = {}) {
  state = { ...state, page: 1, ...changes };
  writeState(state, { push });
  look();
}

function show(found, sums) {
  const passedOver = found.unreadable ? [`${found.unreadable} records can't be read and are left out.`] : [];
  parts.notes([...(found.notes ?? []), ...passedOver]);
  parts.totals(sums);
  parts.charts(sums);
  parts.table({ jobs: found.jobs, sort: state.sort, descending: state.descending, filtered: isFiltered() });
  parts.pager({ total: found.total, page: state.page, size: state.size });
  document.body.dataset.ready = JSON.stringify(state);
}

function isFiltered() {
  return filterQuery({ ...state, offset: false }).size > 0;
}
