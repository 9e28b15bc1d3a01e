"""The recipe for kind ``training``: an experiment to log to, and a job that runs the user's command.

The command runs in an environment of its own, inside `produce`, which gives what it registered its tags and aliases. Must
not know a runtime, and never runs or reads the user's code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.diagnostics import fail
from mlinfra.sdk.lowering import Handle, Lowering, Outputs
from mlinfra.sdk.refs import references, slot
from mlinfra.sdk.workload import File, Job, Mount, Software, Volume
from mlinfra_tools.mlflow.limits import limits
from mlinfra_tools.mlflow.registry import SHARED, Declared
from mlinfra_tools.versions import TOOLS, software

if TYPE_CHECKING:
    from mlinfra.kinds.training import Training
    from mlinfra.kinds.units import ModelRef

WRAPPER: Final = "produce.py"
CHECKPOINTS: Final = "checkpoints"
_PYTHON: Final = re.compile(r"python(3(\.\d+)?)?")
COMPANIONS: Final = {"scikit-learn": "skops"}
"""A library → what MLflow's client needs besides it to save its models, and says so only at the end of a run."""
_QUIET: Final = {
    # Lines reach the log as they are printed, not when a buffer is full.
    "PYTHONUNBUFFERED": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    # MLflow looks for a git program, and says so at length where there is none.
    "GIT_PYTHON_REFRESH": "quiet",
}
"""Variables that a blueprint may set differently."""


def lower(training: Training, lowering: Lowering) -> Outputs:
    """Experiment and job of one training.

    Errors: DiagnosticError for models of several registries, models that only an apply could name, and variables that are
    both the blueprint's and ours.
    """
    name = lowering.component.partition(".")[2]
    models = _models(training)
    registry = _registry(training, models)
    experiment = training.experiment or name
    after: list[str] = []
    if registry is not None:
        after.append(_experiment(registry, experiment, lowering).address)
    declared = _declared(models, lowering)
    after += dict.fromkeys(held.model for held, _ in declared if held.model)
    mounts = _mounts(training, lowering)
    env = _told(training, models, registry, experiment, lowering)
    if training.checkpoints is not None and training.checkpoints.url is None:
        mounts.append(Mount(CHECKPOINTS, lowering.volume(Volume(CHECKPOINTS, data=True))))
    if training.spot and "spot" not in lowering.capabilities:
        lowering.unsupported("spot", "there is no cheaper capacity here")
    job = lowering.job(
        Job(
            name="train",
            software=_software(training),
            command=_command(training, declared, models, lowering),
            source=training.source,
            env=env,
            secrets=dict(training.secrets),
            files=(File(WRAPPER, _wrapper()),),
            mounts=tuple(mounts),
            limits=limits(training.resources, lowering),
            timeout=training.timeout,
            retries=training.retries,
            after=tuple(after),
        )
    )
    for held, alias in declared:
        # With manual approval a run makes a version, and the alias waits for a person.
        if alias in held.aliases and held.approval == "auto":
            lowering.produced(held.aliases[alias], job)
    for model in dict.fromkeys(f"{model.component}/{model.model}" for model in models):
        lowering.share(f"requirements:{model}", tuple(training.requirements))
    lowering.share("job", job)
    return {"experiment": experiment, "job": job.address}


def _models(training: Training) -> list[ModelRef]:
    """What a run makes versions of."""
    for model in training.produces:
        if opaque(model):
            raise fail(
                "value-not-known",
                "Value not known while planning",
                'A model in "produces" comes from a value that only an apply can tell.',
                "Write it out: registry.NAME/MODEL@ALIAS.",
            )
    return list(training.produces)


def _registry(training: Training, models: Iterable[ModelRef]) -> str | None:
    """The registry that runs log to and register at: MLflow speaks to one."""
    named = dict.fromkeys(model.component for model in models)
    if training.registry is not None:
        named = {training.registry: None, **named}
    if len(named) > 1:
        raise fail(
            "registries-differ",
            "More than one registry",
            f"A run logs to one registry, and this training names {' and '.join(named)}.",
            "Produce models of one registry, or make a training of its own for each.",
        )
    return next(iter(named), None)


def _experiment(registry: str, name: str, lowering: Lowering) -> Handle:
    """The experiment: its own, or that of the training which declared it before."""
    key = f"experiment:{registry}/{name}"
    handle: Handle
    for handle in lowering.offers(key):
        return handle
    handle = lowering.resource(
        "mlflow.experiment",
        "experiment",
        {"tracking_uri": lowering.outputs(registry)["url"], "name": name},
        label=f"experiment {name}",
    )
    lowering.share(key, handle)
    return handle


def _declared(models: Iterable[ModelRef], lowering: Lowering) -> list[tuple[Declared, str]]:
    """How the registry declares each model that is produced, and the alias that a new version of it gets."""
    found = []
    for model in models:
        declared: Mapping[str, Declared] = lowering.shared(model.component, SHARED) or {}
        # One that the registry does not declare is made by MLflow when a version of it is registered.
        found.append((declared.get(model.model, Declared()), model.alias or ""))
    return found


def _software(training: Training) -> Software:
    """What speaks to MLflow, and what the code needs."""
    own = software("mlflow-client")
    if not training.requirements:
        return own
    named = {_distribution(requirement) for requirement in training.requirements if not opaque(requirement)}
    besides = [more for library, more in COMPANIONS.items() if library in named and more not in named]
    return Software(own.image, (*TOOLS["mlflow-client"].requirements, *training.requirements, *besides))


def _distribution(requirement: str) -> str:
    """The name of what a requirement asks for, as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def _command(
    training: Training, declared: Iterable[tuple[Declared, str]], models: Iterable[ModelRef], lowering: Lowering
) -> tuple[str, ...]:
    """The user's command within the program that names what it makes."""
    place = lowering.place
    tags = {
        "mlinfra:blueprint": place.blueprint,
        "mlinfra:environment": place.environment,
        "mlinfra:training": lowering.component,
    }
    options = [f"--tag={key}={value}" for key, value in tags.items()]
    for model, (held, alias) in zip(models, declared, strict=True):
        options.append(f"--produces={model.model}" + (f"@{alias}:{held.approval}" if alias else ""))
    if training.checkpoints is not None and training.checkpoints.keep is not None:
        options.append(f"--keep={training.checkpoints.keep}")
    words = list(training.run)
    if not opaque(words[0]) and _PYTHON.fullmatch(words[0]):
        words[0] = slot("python")
    return (slot("python"), slot(f"path:{WRAPPER}"), *options, "--", *words)


def _told(
    training: Training, models: Iterable[ModelRef], registry: str | None, experiment: str, lowering: Lowering
) -> dict[str, str]:
    """The environment variables of a run.

    Errors: DiagnosticError for one that the blueprint and mlinfra both set, or two inputs of one name.
    """
    ours: dict[str, str] = {"MLINFRA_TRAINING": lowering.component}
    if registry is not None:
        ours["MLFLOW_TRACKING_URI"] = lowering.outputs(registry)["url"]
    if registry is not None or training.experiment is not None:
        ours["MLFLOW_EXPERIMENT_NAME"] = experiment
    names = list(dict.fromkeys(model.model for model in models))
    if names:
        ours["MLINFRA_MODEL_NAME"] = names[0]
        ours["MLINFRA_MODEL_NAMES"] = ",".join(names)
    if training.features is not None:
        ours["FEATURE_STORE_URL"] = lowering.outputs(training.features)["url"]
    for name, place in training.inputs.items():
        variable = f"MLINFRA_INPUT_{name.upper()}"
        if variable in ours:
            raise _twice(variable, f'two of its "inputs" are called {name}, but for capital letters', "Rename one.")
        ours[variable] = place
    if training.checkpoints is not None:
        ours["MLINFRA_CHECKPOINTS"] = training.checkpoints.url or slot(f"path:{CHECKPOINTS}")
    for name in training.secrets:
        if f"{name}_FILE" in ours:
            raise _twice(f"{name}_FILE", f'mlinfra sets it besides the secret "{name}"', "Rename the secret.")
        ours[f"{name}_FILE"] = slot(f"secret:{name}")
    for name in training.env:
        if name in ours:
            raise _twice(name, 'it stands in "env", and mlinfra sets it', 'Remove it from "env", or rename it.')
    return {**_QUIET, **training.env, **ours}


def _twice(variable: str, why: str, remedy: str) -> Exception:
    return fail("variable-set-twice", "Variable set twice", f"{variable} cannot have two values: {why}.", remedy)


def _mounts(training: Training, lowering: Lowering) -> list[Mount]:
    """The volumes of what it refers to. What only its inputs name is there to be read."""
    written: list[Any] = [dict(training.env), list(training.run)]
    if training.checkpoints is not None:
        written.append(training.checkpoints.url)
    writes = {reference.address.partition("/")[0] for reference in references(written)}
    reads = {reference.address.partition("/")[0] for reference in references(dict(training.inputs))}
    mounts = []
    for component in sorted(writes | reads):
        volume = lowering.shared(component, "volume")
        if volume is not None:
            mounts.append(Mount(component.replace(".", "-"), volume, read_only=component not in writes))
    return mounts


@cache
def _wrapper() -> str:
    return (resources.files("mlinfra_tools.mlflow") / WRAPPER).read_text("utf-8")
