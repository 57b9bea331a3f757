"""What few requests have: queries, feature groups, app-managed data and instance preferences."""

from airflow.providers.amazon.aws.operators import sagemaker
from airflow.sdk import DAG, dag

QUERY = "SELECT * FROM events WHERE day = '{{ ds }}'"


@dag(dag_id="datasets", schedule=None)
def make():
    request = {
        "ProcessingJobName": "queries",
        "RoleArn": "arn:aws:iam::123456789012:role/SageMakerRole",
        "AppSpecification": {"ImageUri": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/prep:7"},
        "ProcessingResources": {
            "ClusterConfig": {
                "InstancePreferences": [
                    {"InstanceType": "ml.m5.large", "InstanceCount": 2},
                    {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
                ],
                "VolumeSizeInGB": 20,
            }
        },
        "ProcessingInputs": [
            {
                "InputName": "athena",
                "DatasetDefinition": {
                    "LocalPath": "/opt/ml/processing/athena",
                    "DataDistributionType": "FullyReplicated",
                    "AthenaDatasetDefinition": {
                        "Catalog": "AwsDataCatalog",
                        "Database": "logs",
                        "QueryString": QUERY,
                        "OutputS3Uri": "s3://my-data/athena/",
                        "OutputFormat": "PARQUET",
                    },
                },
            },
            {
                "InputName": "redshift",
                "AppManaged": True,
                "DatasetDefinition": {
                    "LocalPath": "/opt/ml/processing/redshift",
                    "InputMode": "File",
                    "RedshiftDatasetDefinition": {
                        "ClusterId": "c",
                        "Database": "d",
                        "DbUser": "u",
                        "QueryString": QUERY,
                        "ClusterRoleArn": "arn:aws:iam::123456789012:role/Redshift",
                        "OutputS3Uri": "s3://my-data/redshift/",
                        "OutputFormat": "CSV",
                    },
                },
            },
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "features",
                    "AppManaged": True,
                    "FeatureStoreOutput": {"FeatureGroupName": "people"},
                }
            ]
        },
    }
    sagemaker.SageMakerProcessingOperator(task_id="queries", config=request)


dag_object: DAG = make()
