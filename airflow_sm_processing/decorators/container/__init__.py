"""What runs in the job's container: the standard library only, and syntax that Python 3.8 reads.

The folder is uploaded as it is beside `call.json`, which says what to run. `values` is used on both sides.
"""
