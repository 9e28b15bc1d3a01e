"""Uses the platform once, as its users would, and tells what is alive and where: ``python demo.py [--drift]``.

Needs nothing but Python and the command ``mlinfra``, which may be named: ``python demo.py --mlinfra PATH``.
"""

import argparse
import json
import random
import subprocess
import sys
import urllib.request

USER = "u042"
REQUESTS = 200


def mlinfra(command: str, *arguments: str) -> str:
    """What a command of mlinfra prints; it is shown too if the command fails."""
    done = subprocess.run([command, *arguments], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\n`mlinfra {' '.join(arguments)}` failed.")
    return done.stdout


def ask(url: str, body: dict | None = None) -> dict:
    """The JSON answer of a server; a POST if there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def payment(chance: random.Random, drift: bool) -> dict:
    """One card payment; with ``drift`` as they are after prices have risen and everybody pays at night."""
    average = chance.lognormvariate(3.6, 0.5)
    return {
        "amount": round(average * chance.lognormvariate(0, 0.4) * (6 if drift else 1), 2),
        "hour": float(chance.randrange(6) if drift else chance.randrange(6, 24)),
        "txn_count_7d": float(round(chance.gammavariate(3, 2)) + (12 if drift else 0)),
        "avg_amount": round(average, 2),
    }


def main() -> None:
    """Send payments, read a feature, ask for a prediction, have the monitor look, and print it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mlinfra", default="mlinfra", metavar="PATH", help="the command")
    parser.add_argument("--drift", action="store_true", help="send payments that are not like the reference")
    given = parser.parse_args()
    chance = random.Random(7)

    outputs = json.loads(mlinfra(given.mlinfra, "output", "--json"))["outputs"]
    store, endpoint, monitor = (outputs[name]["url"] for name in ("feature_store.fraud", "endpoint.fraud", "monitor.drift"))

    print(f"Sending {REQUESTS} payments to the endpoint …")
    for _ in range(REQUESTS // 10):
        ask(f"{endpoint}/invocations", {"dataframe_records": [payment(chance, given.drift) for _ in range(10)]})

    names = ["txn_count_7d", "avg_amount"]
    found = ask(
        f"{store}/get-online-features",
        {"features": [f"user_txn:{name}" for name in names], "entities": {"user_id": [USER]}},
    )
    values = dict(zip(found["metadata"]["feature_names"], (each["values"][0] for each in found["results"]), strict=True))
    features = {name: values[name] for name in names}
    suspicious = {"amount": round(features["avg_amount"] * 7, 2), "hour": 3.0, **{k: float(v) for k, v in features.items()}}
    answer = ask(f"{endpoint}/invocations", {"dataframe_records": [suspicious]})
    verdict = ask(f"{monitor}/run", {})

    print(mlinfra(given.mlinfra, "status", "--no-color"))
    print(f"feature     {USER}: " + ", ".join(f"{name} = {value}" for name, value in features.items()))
    risk = answer["probabilities"][0][1]
    print(f"prediction  {suspicious['amount']:.2f} at 3 in the night: {risk:.0%} fraud → {'stop' if answer['predictions'][0] else 'pay'}")
    print(f"monitor     {verdict}")
    print(f"report      {monitor}")


if __name__ == "__main__":
    main()
