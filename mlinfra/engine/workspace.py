"""`Workspace`: one blueprint in one environment, opened: the way in for the command line and for embedding.

It joins the parts: load → lower → refresh → plan → guard → apply. It holds no logic of theirs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import mlinfra
from mlinfra.blueprint.loader import Blueprint, load
from mlinfra.engine import guards, planner
from mlinfra.engine.apply import Outcome, apply
from mlinfra.engine.catalog import Catalog, Clients
from mlinfra.engine.events import Emit, LockWaiting, ignore
from mlinfra.engine.interrupt import Interrupt
from mlinfra.engine.lower import Desire, lower
from mlinfra.engine.placing import all_placed, placed
from mlinfra.engine.plan import Cost, Plan
from mlinfra.engine.planner import Inputs, Options
from mlinfra.engine.recover import Recovered, recover
from mlinfra.engine.refresh import World, refresh
from mlinfra.kinds import kind_model
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError
from mlinfra.sdk.provider import Place
from mlinfra.state.aside import home
from mlinfra.state.backend import StateBackend
from mlinfra.state.run import Run
from mlinfra.state.snapshot import State

STATE_FOLDER = ".mlinfra"
EVERYTHING = Options()
"""A plan of all that the blueprint says."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What a command line says about the blueprint: its path, the environment, variables."""

    path: Path
    environment: str | None = None
    variables: Sequence[str] = ()
    variable_files: Sequence[Path] = ()
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


@dataclass(slots=True)
class Workspace(AbstractContextManager["Workspace"]):
    """An opened blueprint. Use it as a context manager: it closes clients and the state."""

    blueprint: Blueprint
    catalog: Catalog
    place: Place
    backend: StateBackend
    clients: Clients
    _desire: Desire | None = None

    @classmethod
    def open(cls, selection: Selection, catalog: Catalog | None = None) -> Workspace:
        """Load and validate a blueprint and open its environment's state. Nothing is written.

        Errors: DiagnosticError with all mistakes of the blueprint.
        """
        catalog = catalog or Catalog()
        blueprint = load(
            selection.path,
            environment=selection.environment,
            variables=selection.variables,
            variable_files=selection.variable_files,
            environ=selection.environ,
            kinds=kind_model,
            environment_settings=catalog.settings,
        )
        environment = blueprint.environment
        try:
            catalog.provider(environment.provider)
        except DiagnosticError as error:
            place_of = blueprint.position(("environments", environment.name, "provider"), key=False)
            raise DiagnosticError([replace(each, position=place_of) for each in error.diagnostics]) from error
        work = blueprint.root / STATE_FOLDER / environment.name
        place = Place(
            blueprint=blueprint.name,
            environment=environment.name,
            root=blueprint.root,
            work=work,
            settings=environment.settings,
            disposable=environment.disposable,
        )
        backend = StateBackend.open(work / "state.db", blueprint.name, environment.name)
        return cls(blueprint, catalog, place, backend, Clients(catalog, place))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clients.close()
        self.backend.close()

    @property
    def desire(self) -> Desire:
        """The desired resources, lowered once.

        Errors: DiagnosticError with all that recipes refuse.
        """
        if self._desire is None:
            self._desire = lower(self.blueprint, self.catalog, self.place)
        return self._desire

    def validate(self) -> Desire:
        """Find every mistake that can be told without reading state or live objects: also those in resources' fields.

        Errors: DiagnosticError with all of them.
        """
        desire = self.desire
        nothing = State.new(self.place.blueprint, self.place.environment)
        with self._placing():
            planner.plan(Inputs(desire, nothing, World(), self.catalog, self.place, self.blueprint.digest))
        return desire

    @contextmanager
    def _placing(self) -> Iterator[None]:
        """What the engine finds wrong within gets its position in the blueprint."""
        try:
            yield
        except DiagnosticError as error:
            raise DiagnosticError(all_placed(error.diagnostics, self.blueprint)) from error

    # -- plan ---------------------------------------------------------------------------------------------------------

    def plan(self, options: Options = EVERYTHING, emit: Emit = ignore) -> Plan:
        """What an apply would do. Reads state and live objects, changes nothing.

        Errors: DiagnosticError for what is wrong or cannot be read.
        """
        return self._plan(self.recovered(), options, emit)

    def recovered(self) -> Recovered:
        """The state with what runs that were cut off left behind."""
        desire = self.desire
        return recover(self.backend.load(), desire, self.catalog, self.clients, self.place)

    def _plan(self, recovered: Recovered, options: Options, emit: Emit) -> Plan:
        state = recovered.state
        world = refresh(state.resources, self.catalog, self.clients, emit)
        plan = self._planned(recovered, world, options)
        lost = guards.losses(plan.nodes, state, world, self.catalog, self.clients)
        return planner.with_losses(plan, lost)

    def _planned(self, recovered: Recovered, world: World, options: Options) -> Plan:
        inputs = Inputs(
            desire=self.desire,
            state=recovered.state,
            world=world,
            catalog=self.catalog,
            place=self.place,
            digest=self.blueprint.digest,
            options=options,
            unfinished=recovered.unfinished,
            found=recovered.found,
            doubts=recovered.doubts,
        )
        with self._placing():
            return planner.plan(inputs)

    # -- apply --------------------------------------------------------------------------------------------------------

    def apply(
        self,
        options: Options = EVERYTHING,
        *,
        command: str = "apply",
        emit: Emit = ignore,
        approve: Callable[[Plan], bool] = lambda plan: True,
        interrupt: Interrupt | None = None,
        allow_data_loss: Iterable[str] = (),
        parallelism: int = 10,
        lock_timeout: float = 0.0,
        wait_timeout: float = 300.0,
    ) -> tuple[Plan, Outcome | None]:
        """Plan under the lock, ask ``approve``, execute. The outcome is None if it was not approved or nothing is to do.

        Errors: DiagnosticError if the lock is held, the blueprint or the world is wrong, or a guard refuses.
        """
        with self.backend.begin(command, wait=lock_timeout, waiting=waiting(emit)) as run:
            recovered = self.recovered()
            plan = self._plan(recovered, options, emit)
            refusals = guards.refused(plan, self.blueprint.environment, allow_data_loss)
            if refusals:
                raise Refused(plan, refusals)
            if plan.empty and not plan.records:
                return plan, None
            if not plan.empty and not approve(plan):
                return plan, None
            return plan, self._execute(plan, recovered, run, emit, interrupt, parallelism, wait_timeout)

    def apply_saved(
        self,
        plan: Plan,
        *,
        emit: Emit = ignore,
        interrupt: Interrupt | None = None,
        allow_data_loss: Iterable[str] = (),
        parallelism: int = 10,
        lock_timeout: float = 0.0,
        wait_timeout: float = 300.0,
    ) -> Outcome | None:
        """Execute a saved plan exactly, if it still holds (P10).

        Errors: DiagnosticError with every reason why it does not.
        """
        if (plan.blueprint, plan.environment) != (self.place.blueprint, self.place.environment):
            raise DiagnosticError(
                [
                    Diagnostic(
                        "plan-foreign",
                        "Plan of another environment",
                        f"The plan is for {plan.blueprint} in {plan.environment}; "
                        f"this is {self.place.blueprint} in {self.place.environment}.",
                        f"Give -e {plan.environment}, or make a new plan.",
                    )
                ]
            )
        with self.backend.begin("apply", wait=lock_timeout, waiting=waiting(emit)) as run:
            recovered = self.recovered()
            state = recovered.state
            providers = {name: self.catalog.provider(name).version for name in plan.providers}
            problems = guards.stale(
                plan, digest=self.blueprint.digest, state=state, providers=providers, version=mlinfra.__version__
            )
            if not problems:
                outside = any(node.outside for node in plan.nodes)
                touched = {node.address for node in plan.nodes}
                read = {a: e for a, e in state.resources.items() if outside or a in touched}
                world = refresh(read, self.catalog, self.clients, emit)
                problems = guards.moved(plan, world, self.catalog)
                if outside and not problems:
                    asked = Options(adopt=tuple(plan.options["adopt"]), replace=tuple(plan.options["replace"]))
                    problems = guards.shifted(plan, self._planned(recovered, world, asked))
                plan = _with_secrets(plan, world)
            problems += guards.refused(plan, self.blueprint.environment, allow_data_loss)
            if problems:
                raise DiagnosticError(problems)
            if plan.empty and not plan.records:
                return None
            return self._execute(plan, recovered, run, emit, interrupt, parallelism, wait_timeout)

    def _execute(
        self,
        plan: Plan,
        recovered: Recovered,
        run: Run,
        emit: Emit,
        interrupt: Interrupt | None,
        parallelism: int,
        wait_timeout: float,
    ) -> Outcome:
        for node in plan.nodes:  # what cannot be reached is told once, before anything begins
            self.clients.of(node.type)
        return apply(
            plan,
            self.desire.resources,
            recovered.state,
            recovered.pending,
            run,
            self.catalog,
            self.clients,
            self.place,
            emit=emit,
            placed=lambda diagnostic: placed(diagnostic, self.blueprint),
            interrupt=interrupt or Interrupt(),
            parallelism=parallelism,
            wait_timeout=wait_timeout,
        )


class Refused(DiagnosticError):
    """A guard refused a plan; ``plan`` says what it would have done."""

    def __init__(self, plan: Plan, diagnostics: Iterable[Diagnostic]) -> None:
        super().__init__(diagnostics)
        self.plan = plan


def waiting(emit: Emit) -> Callable[[str], None]:
    """Tells events that the lock is waited for."""
    return lambda text: emit(LockWaiting(text))


def _with_secrets(plan: Plan, world: World) -> Plan:
    """A saved plan whose nodes know the live fields in full: what was saved has fingerprints for secrets."""
    nodes = []
    for node in plan.nodes:
        live: Any = world.live.get(node.address, world.live.get(home(node.address)))
        nodes.append(replace(node, before=live) if node.before and isinstance(live, dict) else node)
    return replace(plan, nodes=tuple(nodes), cost=Cost(world.cost.objects, world.cost.calls, world.cost.seconds))
