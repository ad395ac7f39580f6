"""Whether a role or user may send a mail.

The emulator checks the caller's signature, but judges `ses:SendEmail` on the resource `*` and
without SES's condition keys: a policy as AWS wants it (identity and configuration set as resources,
`ses:FromAddress` as condition) is always refused there. So the identity policies are judged here,
for this one action. Left out: groups, permissions boundaries, session and resource policies, policy
variables.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from infra.local.ses.account import SesError

Statement = Mapping[str, Any]
Context = Mapping[str, list[str]]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _like(text: str, pattern: str, *, fold: bool = False) -> bool:
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL | (re.IGNORECASE if fold else 0)) is not None


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "stringequals": lambda text, wanted: text == wanted,
    "stringequalsignorecase": lambda text, wanted: text.lower() == wanted.lower(),
    "stringlike": _like,
    "arnequals": _like,
    "arnlike": _like,
    "bool": lambda text, wanted: text.lower() == wanted.lower(),
}


def _holds(operator: str, actual: list[str] | None, wanted: list[str]) -> bool:
    name = operator.lower()
    if name == "null":
        return (actual is None) == (str(wanted[0]).lower() == "true")
    quantifier, _, rest = name.rpartition(":")
    if_exists, rest = rest.endswith("ifexists"), rest.removesuffix("ifexists")
    negated, rest = "not" in rest, rest.replace("not", "")
    if rest not in _OPERATORS:
        raise SesError(
            "AccessDeniedException",
            f"The local SES cannot judge the condition operator {operator}.",
        )
    if actual is None:
        return if_exists or quantifier == "forallvalues" or (negated and not quantifier)
    hits = [any(_OPERATORS[rest](text, str(w)) for w in wanted) != negated for text in actual]
    return all(hits) if quantifier == "forallvalues" else any(hits)


def _applies(statement: Statement, action: str, resource: str, context: Context) -> bool:
    def named(key: str, text: str, *, fold: bool) -> bool:
        if key in statement:
            return any(_like(text, p, fold=fold) for p in _list(statement[key]))
        unless = statement.get(f"Not{key}")
        return unless is not None and not any(_like(text, p, fold=fold) for p in _list(unless))

    return (
        named("Action", action, fold=True)
        and named("Resource", resource, fold=False)
        and all(
            _holds(operator, context.get(key.lower()), _list(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def allowed(
    documents: Iterable[Mapping[str, Any]], action: str, resource: str, context: Context
) -> bool:
    """Judges identity policies: one Allow that applies, and no Deny.

    Args:
        documents: policy documents.
        action: e.g. `ses:SendEmail`.
        resource: an ARN.
        context: condition keys in lower case, each with its values.

    Raises:
        SesError: AccessDeniedException where a condition cannot be judged.
    """
    statements = [s for document in documents for s in _list(document["Statement"])]
    effects = {s["Effect"] for s in statements if _applies(s, action, resource, context)}
    return effects == {"Allow"}


def caller_name(principal: str) -> str:
    """What SES shows as `ses:caller-identity`: the role, the user, or root."""
    parts = principal.rpartition(":")[2].split("/")
    return parts[1] if parts[0] == "assumed-role" else parts[-1]


def load(iam: Any, principal: str) -> list[dict[str, Any]]:
    """Reads the inline and attached policies of a role or user.

    Args:
        iam: a boto3 IAM client.
        principal: `arn:aws:sts::...:assumed-role/ROLE/SESSION` or `arn:aws:iam::...:user/NAME`.
    """
    kind = "user" if ":user/" in principal else "role"
    name = caller_name(principal)
    who = {f"{kind.title()}Name": name}
    inline = getattr(iam, f"list_{kind}_policies")(**who)["PolicyNames"]
    documents = [
        getattr(iam, f"get_{kind}_policy")(**who, PolicyName=policy)["PolicyDocument"]
        for policy in inline
    ]
    attached = getattr(iam, f"list_attached_{kind}_policies")(**who)["AttachedPolicies"]
    for policy in attached:
        arn = policy["PolicyArn"]
        version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=arn, VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    return documents
