// The page: opens the view that the address names.

import { byId } from "./dom.js";
import { startRouter } from "./router.js";
import { openModelView } from "./model/model_view.js";
import { openCompareView } from "./viewer/compare_view.js";
import { openSeriesView } from "./viewer/series_view.js";
import { openWorklistView } from "./worklist/worklist_view.js";

startRouter(byId("view"), {
  series: openSeriesView,
  compare: openCompareView,
  model: openModelView,
  worklist: openWorklistView,
});
