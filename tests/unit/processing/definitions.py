"""Definition objects of every kind, generated."""

from __future__ import annotations

from hypothesis import strategies as st

from airflow_sm_processing.processing import (
    AthenaDatasetDefinition,
    DatasetDefinition,
    FeatureStoreOutput,
    InstancePreference,
    NetworkConfig,
    ProcessingInput,
    ProcessingOutput,
    RedshiftDatasetDefinition,
    S3Input,
)

texts = st.none() | st.text(max_size=5)
string_lists = st.none() | st.lists(st.text(max_size=5), max_size=2)
s3_inputs = st.builds(S3Input, texts, texts, texts, texts, texts, texts)
athena_queries = st.builds(AthenaDatasetDefinition, texts, texts, texts, texts, texts, texts, texts, texts)
redshift_queries = st.builds(RedshiftDatasetDefinition, *[texts] * 9)
datasets = st.builds(DatasetDefinition, texts, texts, texts, st.none() | redshift_queries, st.none() | athena_queries)
inputs = st.builds(
    ProcessingInput,
    *[texts] * 7,
    s3_input=st.none() | s3_inputs,
    dataset_definition=st.none() | datasets,
    app_managed=st.booleans(),
)
outputs = st.builds(
    ProcessingOutput,
    *[texts] * 4,
    app_managed=st.booleans(),
    feature_store_output=st.none() | st.builds(FeatureStoreOutput, texts),
)
networks = st.builds(NetworkConfig, st.none() | st.booleans(), string_lists, string_lists, st.none() | st.booleans())
preferences = st.builds(InstancePreference, st.text(max_size=5), st.none() | st.integers())
any_definition = st.one_of(
    s3_inputs, athena_queries, redshift_queries, datasets, inputs, outputs, networks, preferences
)
