"""Trains a fraud model and registers it. What it needs to know, the training tells it by environment variables."""

import argparse
import os
from urllib.parse import unquote, urlsplit

import mlflow
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

FEATURES = ["amount", "hour", "txn_count_7d", "avg_amount"]


def local_path(url: str) -> str:
    """The path of a file:// URL; anything else as it is."""
    parts = urlsplit(url)
    return unquote(parts.path) if parts.scheme == "file" else url


def main() -> None:
    """Train, log, register."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trees", type=int, default=100)
    trees = parser.parse_args().trees
    rows = pd.read_parquet(local_path(os.environ["MLINFRA_INPUT_TRANSACTIONS"]))
    features, labels = rows[FEATURES].astype("float64"), rows["is_fraud"]
    seen, unseen, seen_labels, unseen_labels = train_test_split(
        features, labels, test_size=0.25, random_state=0, stratify=labels
    )
    model = RandomForestClassifier(n_estimators=trees, min_samples_leaf=5, random_state=0).fit(seen, seen_labels)
    score = roc_auc_score(unseen_labels, model.predict_proba(unseen)[:, 1])
    with mlflow.start_run():
        mlflow.log_param("trees", trees)
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
