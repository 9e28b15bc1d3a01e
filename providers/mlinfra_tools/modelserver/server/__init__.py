"""The model server's program: one process serves one version of one MLflow model.

It runs in the workload's own environment, as one script that `..bundle` makes of these modules. Must import nothing of
mlinfra: only the standard library and what the tool's row of versions names (pandas, mlflow and uvicorn on first use).
"""
