"""A loaded MLflow model: fetched from the registry, asked for predictions. Must know nothing of HTTP.

Heavy imports (mlflow, pandas) happen in its functions, so that the server answers its health checks meanwhile.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import Config
from .errors import ModelError, RequestError, brief
from .inputs import Parsed, column_rows, joined

log = logging.getLogger("modelserver.model")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said, as JSON values. ``probabilities`` has one list a row, in the order of the sorted classes."""

    predictions: Any
    probabilities: list[list[float]] | None = None

    def part(self, start: int, stop: int) -> Answer:
        """The answer to some of the rows."""
        chances = self.probabilities[start:stop] if self.probabilities is not None else None
        return Answer(self.predictions[start:stop], chances)


class PyfuncModel:
    """One version of a model. `predict` may be called from several threads."""

    def __init__(self, loaded: Any, config: Config, folder: Path) -> None:
        self.name = config.model
        self.version = config.version
        self._loaded = loaded
        self._folder = folder
        self._logged: set[str] = set()
        signature = loaded.metadata.signature
        self.schema: Any = signature.inputs if signature else None
        self.output_schema: Any = signature.outputs if signature else None
        self.flavors = sorted(set(loaded.metadata.flavors) - {"python_function"}) or ["python_function"]
        self._chances = _probability_function(loaded)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what an answer has."""
        return ("predictions", "probabilities") if self._chances else ("predictions",)

    def predict(self, request: Parsed) -> Answer:
        """Ask the model.

        Errors: RequestError if the input does not fit the schema; ModelError if the model itself fails.
        """
        from mlflow.exceptions import MlflowException

        try:
            predictions = self._loaded.predict(request.data, params=dict(request.params) if request.params else None)
            chances = None
            if self._chances is not None:
                data = request.data[self.schema.input_names()] if self._named(request.data) else request.data
                chances = jsonable(self._chances(data))
        except MlflowException as error:
            text = str(error)
            if text.startswith("Failed to enforce schema"):
                # MLflow puts the whole input into this message; what is wrong stands at its end.
                raise RequestError(text.rpartition("Error: ")[2].strip()) from error
            if error.error_code in ("BAD_REQUEST", "INVALID_PARAMETER_VALUE"):
                raise RequestError(brief(error).partition(": ")[2]) from error
            raise ModelError(brief(error)) from error
        except Exception as error:  # a model is anybody's code: whatever it raises becomes one answer, 500
            self._log_once(error)
            raise ModelError(brief(error)) from error
        return Answer(jsonable(predictions), chances)

    def predict_joined(self, requests: Sequence[Parsed]) -> list[Answer]:
        """Ask once for several requests of one ``batch_key``.

        Errors: as `predict`; ModelError if the model does not answer row by row.
        """
        whole = self.predict(joined(requests))
        total = sum(request.rows for request in requests)
        if not isinstance(whole.predictions, list) or len(whole.predictions) != total:
            raise ModelError("the model does not answer row by row")
        answers: list[Answer] = []
        at = 0
        for request in requests:
            answers.append(whole.part(at, at + request.rows))
            at += request.rows
        return answers

    def captured(self, request: Parsed, answer: Answer) -> list[dict[str, Any]]:
        """What to keep of a request: a dict a row with ``inputs``, ``prediction`` and, where there are, ``probabilities``."""
        rows = jsonable(column_rows(request.data))
        said = answer.predictions
        each = isinstance(said, list) and len(said) == len(rows)
        kept: list[dict[str, Any]] = []
        for at, inputs in enumerate(rows):
            row = {"row": at, "inputs": inputs, "prediction": said[at] if each else said}
            if answer.probabilities is not None and len(answer.probabilities) == len(rows):
                row["probabilities"] = answer.probabilities[at]
            kept.append(row)
        return kept

    def example(self) -> dict[str, Any]:
        """A valid ``/invocations`` body of one row: the model's own input example, or one made from its schema.

        Errors: RequestError (404) if the model has neither.
        """
        text = self._loaded.metadata.get_serving_input(str(self._folder))
        if text:
            example = _first_row(json.loads(text))
            if example is not None:
                return example
        if self.schema is None or self.schema.is_tensor_spec():
            raise RequestError("the model has neither an input example nor a schema with columns", 404)
        samples = {"string": "", "boolean": False, "datetime": "2024-01-01T00:00:00", "binary": ""}
        specs = self.schema.to_dict()
        values = [samples.get(str(item.get("type")), 0) for item in specs]
        split: dict[str, Any] = {"data": [values]}
        if self.schema.has_input_names():
            split["columns"] = self.schema.input_names()
        return {"dataframe_split": split}

    def close(self) -> None:
        """Remove the files it was loaded from."""
        shutil.rmtree(self._folder.parent, ignore_errors=True)

    def _log_once(self, error: Exception) -> None:
        """One trace for each sort of error: bad input repeated a thousand times must not fill the disk."""
        sort = f"{type(error).__name__} {str(error)[:40]}"
        new = sort not in self._logged and len(self._logged) < 20
        log.warning("the model failed: %s", brief(error, 200), exc_info=new)
        if new:
            self._logged.add(sort)

    def _named(self, data: Any) -> bool:
        import pandas as pd

        return (
            self.schema is not None
            and self.schema.has_input_names()
            and isinstance(data, pd.DataFrame)
            and set(self.schema.input_names()) <= set(data.columns)
        )


def load(config: Config, folder: Path) -> PyfuncModel:
    """Copy a version from its registry or folder to a new folder below ``folder`` and load it. Blocks for seconds.

    Errors: whatever MLflow or the model's own code raises.
    """
    import mlflow.pyfunc

    folder.mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(prefix=f"{config.version}-", dir=folder))
    try:
        (target / "model").mkdir()
        local = _copied(config, target / "model") if config.artifact else _fetched(config, target / "model")
        return PyfuncModel(mlflow.pyfunc.load_model(str(local)), config, local)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _fetched(config: Config, target: Path) -> Path:
    import mlflow.artifacts

    mlflow.set_tracking_uri(config.tracking_uri)
    mlflow.set_registry_uri(config.tracking_uri)
    uri = f"models:/{config.model}/{config.version}"
    return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(target)))


def _copied(config: Config, target: Path) -> Path:
    # Loaded from a copy: a library may read its files later, when the next version's stand there.
    shutil.copytree(config.artifact, target, dirs_exist_ok=True)
    return target


def jsonable(value: Any) -> Any:
    """JSON values of what a model returns: frames become lists of records, not-a-number becomes null."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        value = value.to_dict("records")
    elif hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    if hasattr(value, "isoformat"):
        text = value.isoformat()
        return None if text == "NaT" else text
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _probability_function(loaded: Any) -> Any:
    """``predict_proba`` of a scikit-learn model whose pyfunc answers with classes, or None."""
    flavors = loaded.metadata.flavors
    if "sklearn" not in flavors or flavors["python_function"].get("predict_fn", "predict") != "predict":
        return None
    return getattr(loaded.get_raw_model(), "predict_proba", None)


def _first_row(example: Any) -> dict[str, Any] | None:
    if not isinstance(example, dict):
        return None
    if isinstance(example.get("dataframe_split"), dict):
        split = example["dataframe_split"]
        return {
            "dataframe_split": {key: value[:1] if key in ("data", "index") else value for key, value in split.items()}
        }
    for key in ("dataframe_records", "instances", "inputs"):
        if isinstance(example.get(key), list):
            return {key: example[key][:1]}
    return example if "inputs" in example else None
