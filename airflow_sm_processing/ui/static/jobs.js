/** The page "SageMaker Processing": all recorded jobs, with totals. */

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

const REFRESH_EVERY = 15000; // milliseconds

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

const refresh = poll(async () => {
  const requested = state;
  const [found, sums] = await Promise.all([read("jobs", listQuery(requested)), read("totals", filterQuery(requested))]);
  if (requested === state) show(found, sums);
  return REFRESH_EVERY;
}, (error, wait) => showError(document.getElementById("error"), error, wait));

onReturn((returned) => {
  state = returned;
  fillFilters(state);
  refresh();
});

/** Changes the filters, order or page; every change but that of the page returns to the first page. */
function go(changes, { push = true } = {}) {
  state = { ...state, page: 1, ...changes };
  writeState(state, { push });
  refresh();
}

function show(found, sums) {
  parts.notes(found.notes ?? []);
  parts.totals(sums);
  parts.charts(sums);
  parts.table({ jobs: found.jobs, sort: state.sort, descending: state.descending, filtered: isFiltered() });
  parts.pager({ total: found.total, page: state.page, size: state.size });
  document.body.dataset.ready = JSON.stringify(state);
}

function isFiltered() {
  return filterQuery({ ...state, offset: false }).size > 0;
}
