"""Writes small files to its output, as the argument says."""

import json
import pathlib
import sys

folder = pathlib.Path("/opt/ml/processing/output/deep")
folder.mkdir(parents=True, exist_ok=True)
(folder / "metrics.json").write_text(json.dumps({"accuracy": 0.75, "labels": ["é"]}), encoding="utf-8")
(folder / "rows.csv").write_text('name,count\nä,1\n"b, c",2\n', encoding="utf-8")
(folder / "note.txt").write_text("well done\n", encoding="utf-8")
if sys.argv[1] == "broken":
    (folder / "metrics.json").write_text('{"accuracy": NaN}', encoding="utf-8")
