"""`AwsClient`: all calls to AWS go through it: it counts them, tries again what is worth it, and sees to the right account.

Credentials are found by boto3 and never looked at. boto3 is imported with the first call, so that what needs none of it
does not pay for it.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.provider import Place
from mlinfra.sdk.resource import Operation
from mlinfra_aws.errors import AwsError
from mlinfra_aws.settings import AssumeRole, AwsSettings
from mlinfra_aws.tags import TagIndex

TRIES: Final = 8
"""How often a call is tried that the service has no capacity for (throttling) or fails at (5xx)."""
CONNECTS: Final = 3
"""How often it is tried to reach a service that does not answer."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 20.0
"""Seconds: the pause before the second try; it doubles each time. The real one is a random share of it, so that many callers
do not come back at once."""
YOUTH: Final = 120.0
"""Seconds for which a role or key made by this run may not be known everywhere."""
READS: Final = ("Get", "List", "Describe", "Head", "Search", "BatchGet", "Lookup", "Simulate")
"""How the names of operations begin that change nothing."""
TOKENS: Final[Mapping[str, tuple[str, str]]] = {
    "iam": ("Marker", "Marker"),
    "kms": ("Marker", "NextMarker"),
    "ecr": ("nextToken", "nextToken"),
    "logs": ("nextToken", "nextToken"),
    "stepfunctions": ("nextToken", "nextToken"),
    "batch": ("nextToken", "nextToken"),
    "lambda": ("Marker", "NextMarker"),
    "resourcegroupstaggingapi": ("PaginationToken", "PaginationToken"),
    "s3": ("ContinuationToken", "NextContinuationToken"),
}
"""The names of the page token in a service's requests and answers; ``NextToken`` in both for all others."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Time, and waiting. Tests give one that does not take any."""

    now: Callable[[], float] = time.monotonic
    wait: Callable[[Operation | None, float], None] = lambda op, seconds: _wait(op, seconds)


def _wait(op: Operation | None, seconds: float) -> None:
    if op is not None:
        op.wait(seconds)
    else:
        time.sleep(seconds)


@dataclass
class AwsClient:
    """What resource types of AWS are given. ``calls_made`` counts requests, tries included. ``session`` is a boto3 session
    to use; without one it is opened as the environment's settings say."""

    place: Place
    clock: Clock = field(default_factory=Clock)
    session: Any = None
    calls_made: int = 0
    _settings: AwsSettings | None = None
    _clients: dict[str, Any] = field(default_factory=dict)
    _checked: bool = False
    _young: dict[str, float] = field(default_factory=dict)
    _index: TagIndex | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def settings(self) -> AwsSettings:
        """The environment's settings."""
        if self._settings is None:
            self._settings = AwsSettings.model_validate(dict(self.place.settings))
        return self._settings

    @property
    def region(self) -> str:
        """The region that all of this environment is in."""
        return self.settings.region

    @property
    def index(self) -> TagIndex:
        """The tags of all objects of this environment, in bulk."""
        with self._lock:
            if self._index is None:
                owner = {"mlinfra:blueprint": self.place.blueprint, "mlinfra:environment": self.place.environment}
                self._index = TagIndex(self, owner)
            return self._index

    # -- calls ----------------------------------------------------------------------------------------------------------

    def call(
        self, service: str, operation: str, /, *, op: Operation | None = None, once: bool = False, **params: Any
    ) -> dict[str, Any]:
        """One call by the API's own name (``"CreateBucket"``); what it answers, without the metadata.

        It is tried again where that is right. ``once`` is for what must not be done twice: after a failure of which nobody
        knows whether it worked, the error is raised (``error.lost``). A wait ends when ``op`` is interrupted.

        Errors: AwsError; Unreachable if nothing answers.
        """
        client = self._client(service)
        self._check_account(service)
        if not operation.startswith(READS) and self._index is not None:
            self._index.forget()
        from botocore import xform_name

        method = getattr(client, xform_name(operation))
        # One token for all tries of a call: the SDK would make a new one for each, by which AWS takes them for different calls.
        for member in client.meta.service_model.operation_model(operation).idempotent_members:
            params.setdefault(member, str(uuid.uuid4()))
        lost = False
        for attempt in count(1):
            with self._lock:
                self.calls_made += 1
            try:
                answer: dict[str, Any] = method(**params)
            except Exception as error:
                found = _translated(service, operation, error)
                if isinstance(found, AwsError):
                    found.after_lost = lost
                # A service that failed, or whose answer did not come, may have done what was asked.
                lost = lost or isinstance(found, Unreachable) or (isinstance(found, AwsError) and found.lost)
                pause = self._pause(found, attempt, once, params)
                if pause is None:
                    raise found from error
                self.clock.wait(op, pause)
                continue
            answer.pop("ResponseMetadata", None)
            return answer
        raise AssertionError("it ends with an answer or an error")

    def pages(
        self, service: str, operation: str, key: str, /, *, token: tuple[str, str] | None = None, **params: Any
    ) -> Iterator[Any]:
        """The items under ``key`` of all pages. ``token`` names the page token in requests and answers."""
        given, told = token or TOKENS.get(service, ("NextToken", "NextToken"))
        while True:
            answer = self.call(service, operation, **params)
            yield from answer.get(key) or ()
            following = answer.get(told)
            if not following:
                return
            params = {**params, given: following}

    def shape(self, service: str, operation: str, *, output: bool = False) -> Any:
        """botocore's model of an operation's parameters, or of what it answers."""
        model = self._client(service).meta.service_model.operation_model(operation)
        return model.output_shape if output else model.input_shape

    def made(self, *names: str) -> None:
        """Remember that this run made what has these names or ARNs, which services may take a while to know."""
        with self._lock:
            self._young.update(dict.fromkeys(names, self.clock.now()))

    def _pause(self, error: ProviderError, attempt: int, once: bool, params: Mapping[str, Any]) -> float | None:
        """Seconds until the call is tried again, or None if it is not."""
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempt - 1))
        pause = random.uniform(longest / 2, longest)
        if isinstance(error, Unreachable):
            return None if once or attempt >= CONNECTS else pause
        if not isinstance(error, AwsError):
            return None
        if error.young and self._refers_to_young(params):
            return min(5.0, max(1.0, pause))
        if error.throttled or (error.lost and not once):
            return None if attempt >= TRIES else pause
        return None

    def _refers_to_young(self, params: Any) -> bool:
        now = self.clock.now()
        with self._lock:
            young = [name for name, since in self._young.items() if now - since < YOUTH]
        text = str(params)
        return any(name in text for name in young)

    # -- connection -----------------------------------------------------------------------------------------------------

    def _client(self, service: str) -> Any:
        """The service's client, made on first use: one at a time, since making them side by side is slower."""
        client = self._clients.get(service)
        if client is None:
            with self._lock:
                client = self._clients.get(service)
                if client is None:
                    client = self._clients[service] = self._connected(service)
        return client

    def _connected(self, service: str) -> Any:
        from botocore.config import Config

        import mlinfra

        config = Config(
            # Tries are counted and chosen here, not in botocore.
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=32,
            connect_timeout=10,
            read_timeout=60,
            user_agent_extra=f"mlinfra/{mlinfra.__version__}",
        )
        if self.session is None:
            self.session = self._opened()
        return self.session.client(
            service, region_name=self.region, endpoint_url=self.settings.endpoint_url, config=config
        )

    def _opened(self) -> Any:
        """The boto3 session, with the role taken on if the environment names one."""
        try:
            from boto3.session import Session
            from botocore.exceptions import BotoCoreError
        except ImportError as error:
            raise ProviderError(
                "the AWS SDK is not installed", remedy='Install it: pip install "mlinfra-cli[aws]".'
            ) from error
        settings = self.settings
        try:
            session = Session(profile_name=settings.profile, region_name=self.region)
            return session if settings.assume_role is None else self._taken_on(session, settings.assume_role)
        except BotoCoreError as error:
            raise ProviderError(
                f"the credentials cannot be used: {error}", remedy="Look at ~/.aws/config and the AWS_ variables."
            ) from error

    def _taken_on(self, session: Any, role: AssumeRole) -> Any:
        """A session with the credentials of a role, that renew themselves."""
        from boto3.session import Session
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
        from botocore.session import Session as Core

        source = session.get_credentials()
        if source is None:
            raise _no_credentials()
        more = {"RoleSessionName": role.session_name}
        more |= {"ExternalId": role.external_id} if role.external_id else {}

        def creator(service: str, **options: Any) -> Any:
            return session.client(service, **{"endpoint_url": self.settings.endpoint_url, **options})

        fetcher = AssumeRoleCredentialFetcher(creator, source, role.role_arn, extra_args=more)
        core = Core(profile=self.settings.profile)
        # boto3 has no way to be given credentials that renew themselves; botocore's own providers set them so, too.
        core._credentials = DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")
        return Session(botocore_session=core, region_name=self.region)

    def _check_account(self, service: str) -> None:
        """Refuse credentials of another account than the environment's, before anything is read or written."""
        wanted = self.settings.account
        if self._checked or wanted is None or service == "sts":
            return
        with self._lock:
            if self._checked:
                return
            found = self.call("sts", "GetCallerIdentity")
            if found["Account"] != wanted:
                raise ProviderError(
                    f"these credentials ({found['Arn']}) belong to the account {found['Account']}; "
                    f"the environment {self.place.environment} is the account {wanted}. Nothing was done",
                    remedy="Choose other credentials (AWS_PROFILE, aws sso login), or correct `account` in the environment.",
                )
            self._checked = True

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()


def connect(place: Place) -> AwsClient:
    """The client of one environment. Nothing is opened yet."""
    return AwsClient(place)


def _no_credentials() -> ProviderError:
    return ProviderError(
        "there are no AWS credentials",
        remedy="Log in (aws sso login), name a profile (AWS_PROFILE), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )


def _translated(service: str, operation: str, error: Exception) -> ProviderError:
    """botocore's exceptions as ours."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    if isinstance(error, ProviderError):
        return error
    if isinstance(error, boto.ClientError):
        told = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return AwsError(service, operation, str(told.get("Code", "Unknown")), str(told.get("Message", "")), status)
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return _no_credentials()
    if isinstance(error, boto.ParamValidationError):
        return ProviderError(f"{service} {operation} would be refused: {error}")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return Unreachable(
            f"{service} does not answer ({error})", remedy="Look at the network, and at AWS_ENDPOINT_URL if it is set."
        )
    if isinstance(error, ResponseParserError):
        return AwsError(service, operation, "Unreadable", str(error), 500)
    if isinstance(error, boto.BotoCoreError):
        # Of credentials, mostly: an SSO session that ended, a profile without keys, a role that cannot be taken on.
        return ProviderError(
            f"{service} {operation} could not be called: {error}",
            remedy="Log in again (aws sso login), or look at ~/.aws/config.",
        )
    raise error
