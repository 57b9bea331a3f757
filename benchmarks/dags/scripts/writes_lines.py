"""Writes a few lines, and takes longer than Airflow's scheduler to notice the deferral: see `../stays.py`."""

import time

for number in range(20):
    print(f"line {number}", flush=True)
    time.sleep(0.4)
