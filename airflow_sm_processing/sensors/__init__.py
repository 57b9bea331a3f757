"""Sensors: waiting for processing jobs that were started elsewhere."""
