"""What the app keeps between requests."""

from airflow_sm_processing.ui.asking import Asker
from airflow_sm_processing.ui.reading import Reader

__all__ = ["asker", "reader"]

reader = Reader()
asker = Asker()
