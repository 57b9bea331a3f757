from pathlib import Path

print("first line", flush=True)
Path("/opt/ml/processing/result/result.txt").write_text("all of it")
Path("/opt/ml/output").mkdir(parents=True, exist_ok=True)
Path("/opt/ml/output/message").write_text("one file written")
print("last line")
