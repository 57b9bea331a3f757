"""Operators: processing jobs as tasks."""
