"""Exactly one job: which task owns a job, what earlier tries of a task left, and what to do about it.

This package knows SageMaker and the identity of a task instance, but not Airflow: the rule is tested without it.
"""
