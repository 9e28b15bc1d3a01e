"""Trains a fraud model and registers it. What it needs to know, the training tells it by environment variables."""

import argparse
import os
from urllib.parse import unquote, urlsplit

import mlflow
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FEATURES = ["amount", "hour", "txn_count_7d", "avg_amount"]


def local_path(url: str) -> str:
    """The path of a file:// URL; anything else as it is."""
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url


def main() -> None:
    """Train, log, register."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--strength", type=float, default=1.0, help="inverse of the regularisation's strength")
    strength = parser.parse_args().strength
    rows = pd.read_parquet(local_path(os.environ["MLINFRA_INPUT_TRANSACTIONS"]))
    features, labels = rows[FEATURES].astype("float64"), rows["is_fraud"]
    seen, unseen, seen_labels, unseen_labels = train_test_split(
        features, labels, test_size=0.25, random_state=0, stratify=labels
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength)).fit(seen, seen_labels)
    score = roc_auc_score(unseen_labels, model.predict_proba(unseen)[:, 1])
    with mlflow.start_run():
        mlflow.log_param("strength", strength)
        mlflow.log_metric("roc_auc", score)
        mlflow.sklearn.log_model(
            model,
            name="model",
            input_example=seen.head(1),
            registered_model_name=os.environ["MLINFRA_MODEL_NAME"],
        )
    print(f"roc_auc {score:.3f} on {len(unseen)} transactions it had not seen")


if __name__ == "__main__":
    main()
