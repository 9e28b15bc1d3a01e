"""What AWS's errors mean, as data: which are worth another try, which say "gone" or "exists", and what a user can do.

The rules are matched in order, by exact code; a message is a part of the text that AWS sends.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from mlinfra.sdk.errors import ProviderError


class AwsError(ProviderError):
    """AWS refused a call. ``code`` and ``status`` are AWS's own."""

    def __init__(self, service: str, operation: str, code: str, text: str, status: int) -> None:
        rule = next((rule for rule in REMEDIES if rule.fits(service, operation, code, text)), None)
        remedy = rule.remedy.format(service=service, operation=operation) if rule else ""
        super().__init__(f"{service} {operation} was refused: {text or code} ({code})", remedy=remedy)
        self.service, self.operation, self.code, self.text, self.status = service, operation, code, text, status
        self.after_lost = False
        """Whether an earlier try of the same call may have worked."""

    @property
    def gone(self) -> bool:
        """The object does not exist."""
        return any(rule.fits(self.service, self.operation, self.code, self.text) for rule in GONE)

    @property
    def exists(self) -> bool:
        """An object of that name exists already."""
        return any(rule.fits(self.service, self.operation, self.code, self.text) for rule in EXISTS)

    @property
    def throttled(self) -> bool:
        """Too many calls at a time."""
        return self.code in THROTTLING

    @property
    def lost(self) -> bool:
        """The service failed: whether it did what was asked cannot be told."""
        return self.status >= 500 and self.status != 501

    @property
    def young(self) -> bool:
        """What the call refers to is so new that the service does not know it yet."""
        return any(rule.fits(self.service, self.operation, self.code, self.text) for rule in PROPAGATION)


@dataclass(frozen=True, slots=True)
class Rule:
    """Fits an error by service, operation, code (empty: any) and a part of its message."""

    code: str = ""
    message: str = ""
    service: str = ""
    operation: str = ""
    remedy: str = ""

    def fits(self, service: str, operation: str, code: str, text: str) -> bool:
        """Whether it does."""
        return (
            self.code in ("", code)
            and self.service in ("", service)
            and self.operation in ("", operation)
            and self.message in text
        )


THROTTLING: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "RequestThrottled",
        "RequestThrottledException",
        "TooManyRequestsException",
        "RequestLimitExceeded",
        "BandwidthLimitExceeded",
        "ProvisionedThroughputExceededException",
        "TransactionInProgressException",
        "LimitExceededException.Rate",
        "PriorRequestNotComplete",
        "SlowDown",
        "EC2ThrottledException",
    }
)
"""Codes with which services ask for fewer calls a second."""

GONE: Final = (
    Rule("NoSuchEntity", service="iam"),
    Rule("NoSuchBucket", service="s3"),
    Rule("NotFoundException", service="kms"),
    Rule("RepositoryNotFoundException", service="ecr"),
    # SageMaker says so of models, configurations, endpoints and pipelines; of other things it says ResourceNotFound.
    Rule("ValidationException", "Could not find", service="sagemaker"),
    Rule("ValidationException", "does not exist", service="sagemaker"),
    Rule("ResourceNotFound", service="sagemaker"),
    Rule("ResourceNotFoundException"),
    Rule("404", service="s3"),
)
EXISTS: Final = (
    Rule("EntityAlreadyExists", service="iam"),
    Rule("BucketAlreadyOwnedByYou", service="s3"),
    Rule("BucketAlreadyExists", service="s3"),
    Rule("AlreadyExistsException", service="kms"),
    Rule("RepositoryAlreadyExistsException", service="ecr"),
    Rule("ResourceAlreadyExistsException"),
    Rule("ResourceExistsException", service="secretsmanager"),
    Rule("ResourceInUse", service="sagemaker"),
    Rule("ValidationException", "already exist", service="sagemaker"),
    Rule("ConflictException", "already exists"),
)
PROPAGATION: Final = (
    # Roles become assumable some seconds after they were made; each service says so in words of its own.
    Rule("ValidationException", "Could not assume role", service="sagemaker"),
    Rule("ValidationException", "Could not access model data", service="sagemaker"),
    Rule("ValidationException", "Please ensure that the role exists", service="sagemaker"),
    Rule("InvalidParameterValueException", "The role defined for the function cannot be assumed", service="lambda"),
    Rule("ValidationException", "The execution role you provide must allow", service="scheduler"),
    Rule(
        "MalformedPolicyDocumentException",
        "Policy contains a statement with one or more invalid principals",
        service="kms",
    ),
    Rule("MalformedPolicy", "Invalid principal in policy", service="s3"),
    Rule("MalformedPolicyDocument", "Invalid principal in policy", service="iam"),
    Rule("AccessDeniedException", "Neither the global service principal", service="stepfunctions"),
    Rule("ValidationException", "The execution role ARN is invalid", service="sagemaker"),
    Rule("ValidationException", "cannot be assumed by principal", service="events"),
    Rule("ValidationException", "Unable to assume IAM role", service="application-autoscaling"),
    Rule("InvalidParameter", "PrincipalNotFound", service="sns"),
    Rule("InvalidParameterException", "Invalid repository policy provided", service="ecr"),
)
"""Told of a role or key that was made a moment ago. Tried again only if this run made what the call refers to."""

_TRUST: Final = (
    "Let its trust policy name the service, and the credentials pass it (iam:PassRole); then run the command again: it goes on "
    "from here."
)
_LOGIN: Final = "Log in again (aws sso login, or new keys), then run the command again: it goes on from here."
_ALLOW: Final = (
    "Allow {service}:{operation} to these credentials (also in permission boundaries and service control policies), "
    "then run the command again: it goes on from here."
)
REMEDIES: Final = (
    *(replace(rule, remedy=_TRUST) for rule in PROPAGATION if "role" in rule.message or "principal" in rule.message),
    Rule("ExpiredToken", remedy=_LOGIN),
    Rule("ExpiredTokenException", remedy=_LOGIN),
    Rule("RequestExpired", remedy=_LOGIN),
    Rule("InvalidClientTokenId", remedy=_LOGIN),
    Rule("UnrecognizedClientException", remedy=_LOGIN),
    Rule("AccessDenied", remedy=_ALLOW),
    Rule("AccessDeniedException", remedy=_ALLOW),
    Rule("UnauthorizedOperation", remedy=_ALLOW),
    Rule(
        "ResourceLimitExceeded", remedy="Ask AWS for a higher quota (Service Quotas), or choose another instance type."
    ),
    Rule("LimitExceeded", remedy="Ask AWS for a higher quota (Service Quotas), or remove what is not needed."),
    Rule(
        "BucketAlreadyExists",
        service="s3",
        remedy="Bucket names are unique in the world. Choose another one; with `account` in the environment, names carry it.",
    ),
    Rule("EmulatorNotImplemented", remedy="This is the emulator's limit, not one of AWS."),
)
"""What a user can do about it."""
