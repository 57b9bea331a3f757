"""Exactly one job: which task owns a job, what earlier tries of a task left, and what to do about it.

It knows SageMaker and what a task instance is called, but not Airflow: the rule is tested without it.
"""
