"""Kind ``monitor``: watches data and models for drift and decay. Knows no provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from mlinfra.kinds.compute import PortNumber, Resources
from mlinfra.kinds.kind import Kind, Link, Open, Part, opaque
from mlinfra.kinds.schedule import Scheduled
from mlinfra.kinds.units import Duration, EndpointRef, TrainingRef

MonitorType = Literal["data_drift", "concept_drift", "data_quality", "performance"]
Metric = Literal["accuracy", "precision", "recall", "f1", "roc_auc", "mae", "rmse", "r2"]
THRESHOLDS: Final[Mapping[str, float]] = {"data_drift": 0.5, "data_quality": 0.05, "concept_drift": 0.1}
"""Type → the threshold where none is given."""
ERRORS: Final = ("mae", "rmse")
"""Metrics that are better the lower they are."""


class Labels(Part):
    """What really happened, told later: joined with the predictions."""

    source: str = Field(
        min_length=1, description="Where they are: path or URL of a Parquet file, or of a folder of them."
    )
    column: str = Field(
        "label", min_length=1, description="The column with the label, in the reference as well. Default: label."
    )
    key: str = Field(
        "request_id",
        min_length=1,
        description="The column that identifies a prediction: request_id, as captured and answered by the endpoint, or a column of "
        "the request. Default: request_id.",
    )
    delay: Duration = Field(
        0,
        validate_default=True,
        description="How late labels come; requests younger than that are left out: 7d. Default: 0.",
    )


class Notify(Part):
    """Who is told of a breach, and when it is over."""

    webhook: str = Field(
        min_length=1, description="A URL that gets the result as JSON by POST, best of a secret: ${secret.slack.value}."
    )

    @field_validator("webhook")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if not opaque(value) and not value.startswith(("http://", "https://")):
            raise ValueError("must be a URL that begins with http:// or https://")
        return value


class Monitor(Kind, Scheduled):
    """Compares what an endpoint was asked, or other data, with a reference; tells of a breach and starts what mends it.

    * ``data_drift``: which columns are distributed otherwise than in the reference. Threshold: share of drifted columns.
    * ``data_quality``: missing values, values out of the reference's range or set. Threshold: share of bad values.
    * ``concept_drift``: the model is wrong more often than on the reference (needs labels). Threshold: relative loss of the metric.
    * ``performance``: the metric itself (needs labels). Threshold: its lowest good value; for mae and rmse its highest.

    ::

        monitor:
          drift:
            of: endpoint.fraud
            type: data_drift
            reference: ${storage.lake.url}/reference.parquet
            window: 1d
            threshold: 0.3
            every: 1h
            then: training.fraud
    """

    kind: ClassVar[str] = "monitor"
    outputs: ClassVar[Mapping[str, str]] = {
        "url": "the URL of its reports and its last verdict",
        "metrics": "the URL of its metrics, as Prometheus reads them",
        "prometheus": "the URL of the Prometheus that watches it, where the runtime has one; for people and raw resources",
    }

    of: EndpointRef | None = Field(
        None,
        description="The endpoint whose captured requests are looked at: endpoint.fraud. Either this or `current`.",
    )
    type: MonitorType = Field("data_drift", description="What is watched, see above. Default: data_drift.")
    every: Duration | None = Field(None, description="How often it looks: 1h. Either this or `cron`. Default: 1h.")
    reference: str | None = Field(
        None,
        min_length=1,
        description="What is normal: path or URL of a Parquet file, usually the training data. Both sorts of drift need it.",
    )
    current: str | None = Field(
        None,
        min_length=1,
        description="Data to look at in the place of an endpoint's requests: path or URL of a Parquet file or a folder of them.",
    )
    timestamp_field: str = Field(
        "event_timestamp",
        min_length=1,
        description="The column of `current` that `window` goes by. Default: event_timestamp.",
    )
    variants: list[Open[str]] = Field([], description="The endpoint's variants that are looked at. Default: all.")
    columns: list[Open[str]] = Field(
        [], description="The columns that are looked at; `prediction` is one too. Default: all that both sides have."
    )
    window: Duration = Field("1d", validate_default=True, description="How far back it looks each time. Default: 1d.")
    minimum_rows: int = Field(
        100, ge=1, description="Fewer rows than this give no verdict: too little to tell. Default: 100."
    )
    method: Literal["psi", "ks", "wasserstein", "jensenshannon", "chisquare"] | None = Field(
        None,
        description="How a column's drift is measured (data_drift): population stability index, Kolmogorov-Smirnov, … "
        "Default: what suits the column's type and the number of rows.",
    )
    column_threshold: float | None = Field(
        None,
        ge=0,
        description="At which value of `method` a column has drifted: 0.2 for psi. Default: the method's usual one.",
    )
    labels: Labels | None = Field(None, description="What really happened. concept_drift and performance need it.")
    metric: Metric | None = Field(
        None,
        description="How good a model is (concept_drift, performance): accuracy, precision, recall, f1, roc_auc for classes; "
        "mae, rmse, r2 for numbers. Default: f1 for classes, mae for numbers.",
    )
    threshold: float | None = Field(
        None,
        ge=0,
        description="What is a breach, see the types above. Default: 0.5 for data_drift, 0.05 for data_quality, 0.1 for "
        "concept_drift; performance needs one.",
    )
    breaches: int = Field(1, ge=1, le=1000, description="Breaches in a row until something is done. Default: 1.")
    then: TrainingRef | None = Field(
        None, description="The training that a breach starts: training.fraud. Default: none."
    )
    cooldown: Duration = Field(
        "1h", validate_default=True, description="Least time between two starts of `then`. Default: 1h."
    )
    notify: Notify | None = Field(
        None, description="Who is told of a breach. Default: it is in the report and the metrics only."
    )
    keep: Duration = Field("30d", validate_default=True, description="How long reports are kept. Default: 30d.")
    port: PortNumber | None = Field(
        None, description="The port of its reports. Default: one that the runtime chooses and keeps."
    )
    expose: bool = Field(
        False,
        description="Whether other machines reach it. Default: only this machine, or the environment's own network.",
    )
    resources: Resources | None = Field(None, description="What it may use. Default: no limit, or the usual size.")

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        found = dict(data)
        if found.get("every") is None and found.get("cron") is None:
            found["every"] = "1h"
        kind = found.get("type", "data_drift")
        if found.get("threshold") is None and isinstance(kind, str) and kind in THRESHOLDS:
            found["threshold"] = THRESHOLDS[kind]
        return found

    @field_validator("columns", "variants")
    @classmethod
    def _once(cls, names: list[str]) -> list[str]:
        plain = [] if opaque(names) else [name for name in names if not opaque(name)]
        twice = sorted({name for name in plain if plain.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands in it twice")
        return names

    @model_validator(mode="after")
    def _can_compare(self) -> Self:
        if (self.of is None) == (self.current is None):
            raise ValueError('say what is looked at: either "of: endpoint.NAME" or "current" with the path of data')
        if self.of is None and self.variants != []:
            raise ValueError('"variants" belong to an endpoint: add "of", or remove them')
        if self.type in ("data_drift", "concept_drift") and self.reference is None:
            raise ValueError(f'{self.type} needs a "reference" to compare with')
        if self.type in ("concept_drift", "performance") and self.labels is None:
            raise ValueError(f'{self.type} needs "labels": without them nobody knows whether predictions were right')
        if self.type == "performance" and self.threshold is None:
            raise ValueError('performance needs a "threshold", the lowest good value of its metric')
        return self

    @model_validator(mode="after")
    def _threshold_fits(self) -> Self:
        shares = ("data_drift", "data_quality")
        if self.type in shares and isinstance(self.threshold, float) and self.threshold > 1:
            raise ValueError('"threshold" is a share, 0 to 1: 0.3 means 30 %')
        if self.method is not None and self.type not in ("data_drift", "concept_drift") and not opaque(self.type):
            raise ValueError(f'"method" is about drift and has no meaning for {self.type}')
        return self

    def links(self) -> list[Link]:
        """The endpoint it watches and the training it may start."""
        found = [Link("of", self.of, "uses")] if self.of is not None and not opaque(self.of) else []
        if self.then is not None and not opaque(self.then):
            found.append(Link("then", self.then, "starts"))
        return found
