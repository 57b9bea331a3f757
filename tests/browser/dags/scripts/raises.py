"""Fail by an exception, as most scripts do, after more lines than a screen has."""

for number in range(100):
    print(f"order {number} read", flush=True)
orders = {"order": 1}
try:
    orders["customer_id"]
except KeyError as error:
    raise ValueError("orders have no customer_id") from error
