"""A SageMaker and a CloudWatch Logs that cost next to nothing, count every call, and know when each job ends.

moto completes every job at once, and the local SageMaker really runs them: neither has ten thousand jobs that end over
a minute. This one computes the jobs' states and their log lines from the clock; nothing but the changes is stored.
Run as `python -m benchmarks.fake_sagemaker PLAN_AS_JSON`, it prints its port and ends when its standard input closes.
"""
