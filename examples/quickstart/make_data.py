# /// script
# requires-python = ">=3.11"
# dependencies = ["numpy==2.4.6", "pandas==3.1.1", "pyarrow==26.0.1"]
# ///
"""Makes the data of this example anew: ``uv run make_data.py``. The same seed makes the same data.

* ``data/transactions.parquet``: labelled transactions, what the model is trained with
* ``data/user_txn.parquet``: what is known of each user at the end of each day, for the feature store
* ``data/reference.parquet``: transactions as the endpoint sees them, what the monitor compares with
* ``payments.json``: payments of the next day, which ``demo.py`` asks the endpoint about
"""

from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20260101
USERS = 200
DAYS = 30
END = pd.Timestamp("2026-01-31", tz="UTC")
FEATURES = ["amount", "hour", "txn_count_7d", "avg_amount"]


def user_txn(random: np.random.Generator) -> pd.DataFrame:
    """One row a user and day: how many transactions in the last seven days, and their mean amount."""
    habit = random.gamma(3.0, 2.0, USERS)
    wealth = random.lognormal(3.6, 0.5, USERS)
    days = pd.date_range(end=END, periods=DAYS, freq="D")
    count = random.poisson(habit, (DAYS, USERS))
    mean = wealth * random.lognormal(0.0, 0.15, (DAYS, USERS))
    return pd.DataFrame(
        {
            "user_id": np.tile([f"u{number:03d}" for number in range(USERS)], DAYS),
            "event_timestamp": np.repeat(days, USERS),
            "txn_count_7d": count.ravel().astype("int64"),
            "avg_amount": mean.ravel().round(2),
        }
    )


def transactions(random: np.random.Generator, known: pd.DataFrame, size: int = 6_000) -> pd.DataFrame:
    """Transactions of these users; fraud is large for its user, at night, and likelier where there are many."""
    rows = known.sample(size, replace=True, random_state=SEED).reset_index(drop=True)
    fraud = random.random(size) < 0.02 + 0.01 * rows["txn_count_7d"].clip(upper=20)
    amount = rows["avg_amount"] * random.lognormal(0.0, 0.4, size) * np.where(fraud, random.uniform(1.5, 8.0, size), 1)
    hour = np.where(fraud & (random.random(size) < 0.7), random.integers(0, 6, size), random.integers(6, 24, size))
    return rows.assign(amount=amount.round(2), hour=hour.astype("int64"), is_fraud=fraud.astype("int64"))


def main() -> None:
    """Write the three tables."""
    random = np.random.default_rng(SEED)
    folder = Path(__file__).parent / "data"
    folder.mkdir(exist_ok=True)
    known = user_txn(random)
    labelled = transactions(random, known)
    known.to_parquet(folder / "user_txn.parquet", index=False)
    labelled.to_parquet(folder / "transactions.parquet", index=False)
    labelled[FEATURES].sample(2_000, random_state=SEED).to_parquet(folder / "reference.parquet", index=False)
    today = transactions(random, known[known["event_timestamp"] == END], 400)
    today[["user_id", "amount", "hour"]].to_json(folder.parent / "payments.json", orient="records", lines=False)


if __name__ == "__main__":
    main()
