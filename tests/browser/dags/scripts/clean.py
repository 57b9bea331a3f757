"""Write two files of orders."""

import os
from pathlib import Path

orders = Path("/opt/ml/processing/orders")
print("reading 4,000 orders, locale", os.environ["LOCALE"], flush=True)
for part in range(2):
    (orders / f"part-{part}.csv").write_text("order,price\n" + "1,2.50\n" * 2000)
Path("/opt/ml/output").mkdir(parents=True, exist_ok=True)
Path("/opt/ml/output/message").write_text("4,000 orders kept, 12 dropped")
print("done", flush=True)
