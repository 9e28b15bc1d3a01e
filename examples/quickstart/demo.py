"""Uses the platform once, as its users would, and tells what is alive and where: ``python demo.py [--drift]``.

Needs nothing but Python and the command ``mlinfra``, which may be named: ``python demo.py --mlinfra PATH``.
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

USER = "u042"
FEATURES = ["txn_count_7d", "avg_amount"]
BATCH = 20


def mlinfra(command: str, *arguments: str) -> str:
    """What a command of mlinfra prints; if it fails, that is shown and the end."""
    done = subprocess.run([command, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\n`mlinfra {' '.join(arguments)}` failed.")
    return done.stdout


def ask(url: str, body: dict) -> dict:
    """The JSON answer of a server to a POST."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def read_features(store: str, users: list[str]) -> list[dict]:
    """The features of each user, as the feature server has them now."""
    names = [f"user_txn:{name}" for name in FEATURES]
    found = ask(f"{store}/get-online-features", {"features": names, "entities": {"user_id": users}})
    columns = dict(zip(found["metadata"]["feature_names"], found["results"], strict=True))
    return [{name: columns[name]["values"][row] for name in FEATURES} for row in range(len(users))]


def predict(endpoint: str, payments: list[dict]) -> dict:
    """What the endpoint says to payments with their users' features."""
    rows = [{name: float(value) for name, value in payment.items() if name != "user_id"} for payment in payments]
    return ask(f"{endpoint}/invocations", {"dataframe_records": rows})


def drifted(payment: dict) -> dict:
    """A payment as they are when prices have risen and everybody pays at night."""
    return {
        **payment,
        "amount": payment["amount"] * 6,
        "hour": payment["hour"] % 6,
        "txn_count_7d": payment["txn_count_7d"] + 12,
    }


def seen(monitor: str) -> int:
    """How many requests the monitor's last look has seen."""
    with urllib.request.urlopen(f"{monitor}/verdict", timeout=120) as answer:
        return json.load(answer).get("rows") or 0


def look(monitor: str, rows: int) -> dict:
    """Have the monitor look until it has seen so many requests: they are on its disk a moment after they were answered."""
    for _ in range(20):
        time.sleep(1.5)
        verdict = ask(f"{monitor}/run?wait=120", {})
        if verdict["rows"] >= rows:
            break
    return verdict


def main() -> None:
    """Send payments, read a feature, ask for a prediction, have the monitor look, and print it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlinfra", default="mlinfra", metavar="PATH", help="the command")
    parser.add_argument("--drift", action="store_true", help="send payments that are not like the reference")
    given = parser.parse_args()

    outputs = json.loads(mlinfra(given.mlinfra, "output", "--json"))["outputs"]
    store, endpoint, monitor = (
        outputs[name]["url"] for name in ("feature_store.fraud", "endpoint.fraud", "monitor.drift")
    )

    payments = json.loads((Path(__file__).parent / "payments.json").read_text())
    print(f"Asking about {len(payments)} payments …", flush=True)
    users = read_features(store, [payment["user_id"] for payment in payments])
    payments = [{**payment, **features} for payment, features in zip(payments, users, strict=True)]
    if given.drift:
        payments = [drifted(payment) for payment in payments]
    before = seen(monitor)
    stopped = 0
    for start in range(0, len(payments), BATCH):
        stopped += sum(predict(endpoint, payments[start : start + BATCH])["predictions"])
    print(f"{stopped} of them look like fraud. Having the monitor look …\n", flush=True)
    verdict = look(monitor, before + len(payments))

    features = read_features(store, [USER])[0]
    risky = {"amount": round(features["avg_amount"] * 7, 2), "hour": 3, **features}
    answer = predict(endpoint, [risky])
    print(mlinfra(given.mlinfra, "status", "--no-color"))
    print(f"feature     user {USER}: " + ", ".join(f"{name} = {value}" for name, value in features.items()))
    print(
        f"prediction  {risky['amount']} at 3 in the night: fraud with probability {answer['probabilities'][0][1]:.2f}"
    )
    print(f"monitor     {verdict['verdict']}: {verdict['sentence']}")
    print(f"report      {monitor}")


if __name__ == "__main__":
    main()
