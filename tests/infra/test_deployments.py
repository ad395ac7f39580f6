"""One deployment and the next: what CloudFormation would refuse, what it would leave, what would collide.

CloudFormation itself is not here. Its rules that matter are written down below, each with its page in the
AWS CloudFormation User Guide, and played on the synthesised templates.
"""

from __future__ import annotations

import json
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any

import pytest

from infra.config import Config
from infra.setting import ConfigError
from tests.support.templates import (
    PRODUCTION,
    Properties,
    Template,
    Templates,
    notifications,
    resources,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.templates import Deployments

# --- exports --------------------------------------------------------------------------------------


def found(node: Any, key: str) -> Iterator[Any]:
    """Yield what stands under `key`, anywhere in a template."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == key:
                yield value
            yield from found(value, key)
    elif isinstance(node, list):
        for entry in node:
            yield from found(entry, key)


def exports(template: Template) -> set[str]:
    return {
        output["Export"]["Name"]
        for output in template.get("Outputs", {}).values()
        if "Export" in output
    }


def refused(old: Templates, new: Templates) -> list[str]:
    """Return the exports for which CloudFormation would refuse the update from `old` to `new`.

    "You can't modify or remove an output value that is referenced by another stack" ("Get exported outputs
    from a deployed CloudFormation stack"). Stacks are updated in the order of the synth, one after another.
    """
    deployed = dict(old)
    in_use = []
    for name, template in new.items():
        imported = {
            export
            for other, theirs in deployed.items()
            if other != name
            for export in found(theirs, "Fn::ImportValue")
        }
        in_use += sorted((exports(deployed[name]) - exports(template)) & imported)
        deployed[name] = template
    return in_use


@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("CUSTOMER_MANAGED_KEY", ("false", "true", "retiring", "false")),
        ("CUSTOMER_MANAGED_KEY", ("true", "retiring", "true")),
        ("AUTO_PAUSE_SENDING", ("false", "true", "false")),
        ("REQUIRE_TLS", ("false", "true", "false")),
        ("OUTCOME_EVENTS", ("true", "false", "true")),
        ("CANARY_MINUTES", ("60", "0", "60")),
    ],
)
def test_a_setting_can_be_changed_and_changed_back(
    deployment: Deployments, variable: str, path: tuple[str, ...]
) -> None:
    for old, new in pairwise(path):
        assert refused(deployment(**{variable: old}), deployment(**{variable: new})) == []


def test_a_key_in_use_is_not_dropped_at_once(deployment: Deployments) -> None:
    """CloudFormation refuses it before anything has changed; the documents have the way over `retiring`."""
    in_use = deployment(CUSTOMER_MANAGED_KEY="true"), deployment(CUSTOMER_MANAGED_KEY="false")
    assert refused(*in_use)


def test_under_a_retiring_key_nothing_new_is_encrypted_and_queue_and_stream_are_read(
    deployment: Deployments,
) -> None:
    templates = deployment(CUSTOMER_MANAGED_KEY="retiring")
    assert resources(templates["ses-configuration-prod"], "AWS::KMS::Key")
    (kept,) = [name for name in exports(templates["ses-configuration-prod"]) if "key" in name]
    assert kept not in set(found(list(templates.values()), "Fn::ImportValue"))
    decrypting = {
        policy["Roles"][0]["Ref"]: statement
        for policy in resources(notifications(templates), "AWS::IAM::Policy").values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "kms:Decrypt"
    }
    readers = [
        mapping["FunctionName"]["Ref"]
        for mapping in resources(
            notifications(templates), "AWS::Lambda::EventSourceMapping"
        ).values()
    ]
    functions = resources(notifications(templates), "AWS::Lambda::Function")
    assert set(decrypting) == {functions[name]["Role"]["Fn::GetAtt"][0] for name in readers}
    (alias,) = resources(templates["ses-configuration-prod"], "AWS::KMS::Alias").values()
    for decrypt in decrypting.values():
        assert decrypt["Condition"] == {
            "ForAnyValue:StringEquals": {"kms:ResourceAliases": alias["AliasName"]}
        }


# --- what is left ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "fate"), [("prod", "RetainExceptOnCreate"), ("dev", "Delete")]
)
def test_the_key_shares_the_table_s_fate(
    deployment: Deployments, environment: str, fate: str
) -> None:
    """With RetainExceptOnCreate, a failed first deployment takes it away again ("DeletionPolicy attribute")."""
    templates = deployment(ENVIRONMENT_SUFFIX=environment, CUSTOMER_MANAGED_KEY="true")
    for stack, type_ in (
        ("ses-configuration", "AWS::KMS::Key"),
        ("email-notifications", "AWS::DynamoDB::GlobalTable"),
    ):
        (resource,) = [
            r
            for r in templates[f"{stack}-{environment}"]["Resources"].values()
            if r["Type"] == type_
        ]
        assert resource["DeletionPolicy"] == fate
        kept_at_an_update = "Delete" if fate == "Delete" else "Retain"
        assert resource["UpdateReplacePolicy"] == kept_at_an_update


def is_protected(resource: Properties) -> bool:
    return any(found(resource, "DeletionProtectionEnabled"))


def references(resource: Properties) -> set[str]:
    """Return the resources that one is made after: those it depends on, and those it quotes."""
    named = {ref for ref in found(resource, "Ref") if isinstance(ref, str)}
    named |= {attribute[0] for attribute in found(resource, "Fn::GetAtt")}
    after = resource.get("DependsOn", [])
    return named | ({after} if isinstance(after, str) else set(after))


def made_after(template: Template, name: str) -> set[str]:
    """Return all resources that certainly are made after `name`."""
    after: set[str] = set()
    while more := {
        other
        for other, resource in template["Resources"].items()
        if other not in after and references(resource) & ({name} | after)
    }:
        after |= more
    return after


def test_a_protected_table_is_made_last(deployment: Deployments) -> None:
    """A rollback deletes what it has made, and cannot delete what is protected."""
    template = notifications(deployment())
    (table,) = [name for name, r in template["Resources"].items() if is_protected(r)]
    # Its stream is there once the table is.
    mapping = {
        name
        for name, r in template["Resources"].items()
        if r["Type"] == "AWS::Lambda::EventSourceMapping" and table in references(r)
    }
    assert len(mapping) == 1
    others = set(template["Resources"]) - {table} - mapping
    assert {name for name in others if table in made_after(template, name)} == others


def test_outside_of_production_nothing_is_protected(deployment: Deployments) -> None:
    templates = deployment(ENVIRONMENT_SUFFIX="dev")
    assert not any(
        is_protected(r) for template in templates.values() for r in template["Resources"].values()
    )


# --- two of them ----------------------------------------------------------------------------------


def global_names(templates: Templates) -> list[str]:
    """Return the names that an account can have once only, whatever the region."""
    return [
        properties[name]
        for template in templates.values()
        for type_, name in (
            ("AWS::CloudWatch::Dashboard", "DashboardName"),
            ("AWS::IAM::Role", "RoleName"),
            ("AWS::IAM::ManagedPolicy", "ManagedPolicyName"),
            ("AWS::S3::Bucket", "BucketName"),
        )
        for properties in resources(template, type_).values()
        if name in properties
    ]


def test_one_environment_lives_in_several_regions(deployment: Deployments) -> None:
    regions = ("us-east-1", "eu-central-1", "ap-southeast-2")
    names = {region: global_names(deployment(CDK_DEFAULT_REGION=region)) for region in regions}
    policies = ["order-mail-support-prod", "order-mail-operator-prod"]
    dashboards = ["email-notifications-prod", "email-costs-prod"]
    assert sorted(names["us-east-1"]) == sorted([*policies, *dashboards])
    for one, other in permutations(regions, 2):
        assert not set(names[one]) & set(names[other])


@pytest.mark.parametrize(
    "region", ["us-gov-west-1", "cn-north-1", "us-iso-east-1", "eusc-de-east-1"]
)
def test_another_partition_is_refused(region: str) -> None:
    with pytest.raises(ConfigError, match=f'^CDK_DEFAULT_REGION is "{region}": it takes '):
        Config.from_environment(PRODUCTION | {"CDK_DEFAULT_REGION": region}, local=False)


def namespaces(templates: Templates) -> set[str]:
    """Return every namespace of our own that something counts in, reads from, shows or watches."""
    texts = json.dumps(templates).replace('\\"', '"').replace("\\", "").split('"')
    return {text for text in texts if text.startswith("EmailNotification")}


@pytest.mark.parametrize(
    ("environment", "namespace"),
    [("prod", "EmailNotification"), ("dev", "EmailNotification-dev")],
)
def test_each_environment_counts_for_itself(
    deployment: Deployments, environment: str, namespace: str
) -> None:
    templates = deployment(ENVIRONMENT_SUFFIX=environment)
    assert namespaces(templates) == {namespace}
    for template in templates.values():
        for function in resources(template, "AWS::Lambda::Function").values():
            assert function["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"] == namespace


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "policy"), [({}, "OPTIONAL"), ({"REQUIRE_TLS": "true"}, "REQUIRE")]
)
def test_mail_is_lost_for_want_of_tls_only_when_asked_for(
    deployment: Deployments, setting: dict[str, str], policy: str
) -> None:
    template = deployment(**setting)["ses-configuration-prod"]
    (configuration_set,) = resources(template, "AWS::SES::ConfigurationSet").values()
    assert configuration_set["DeliveryOptions"]["TlsPolicy"] == policy


def test_customers_data_is_not_logged_in_production() -> None:
    with pytest.raises(
        ConfigError, match=r"^LOG_EXECUTION_DATA is true and ENVIRONMENT_SUFFIX is prod"
    ):
        Config.from_environment(PRODUCTION | {"LOG_EXECUTION_DATA": "true"}, local=False)


def test_a_brand_is_in_no_function_s_environment(deployment: Deployments) -> None:
    """All variables of a function together have 4 KB (AWS Lambda Developer Guide, "Lambda quotas")."""
    for template in deployment(BRAND_NAME="Northwind Home").values():
        for function in resources(template, "AWS::Lambda::Function").values():
            assert "Northwind" not in json.dumps(function)
