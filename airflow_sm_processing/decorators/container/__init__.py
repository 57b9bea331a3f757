"""What runs in the job's container: the standard library only, and syntax that Python 3.8 reads.

The folder is uploaded unchanged, together with `call.json`, which says what to run. `values` is used by both the task
and the container.
"""
