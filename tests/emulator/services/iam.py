"""IAM: AWS's own managed policies exist without being loaded, which takes moto long."""

from __future__ import annotations

import datetime as dt
from typing import Any

from moto.iam.models import AWSManagedPolicy
from moto.iam.responses import IamResponse

from . import before

PREFIX = "arn:aws:iam::aws:policy"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@before(IamResponse, "attach_role_policy")
def _known(response: Any) -> None:
    """Make a managed policy of AWS when it is first attached."""
    arn = response._get_param("PolicyArn")
    policies = response.backend.managed_policies
    if arn.startswith(PREFIX) and arn not in policies:
        path, _, name = arn.removeprefix(PREFIX).rpartition("/")
        now = dt.datetime.now(dt.UTC).isoformat()
        data = {
            "Path": f"{path}/",
            "DefaultVersionId": "v1",
            "Document": EVERYTHING,
            "CreateDate": now,
            "UpdateDate": now,
        }
        policies[arn] = AWSManagedPolicy.from_data(name, response.current_account, response.region, data)
