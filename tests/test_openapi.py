"""The description of the API for programs, beside the code that it describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import attrs
import msgspec
import pytest
import yaml

from dtkdns import overview, status
from dtkdns.access import Access
from dtkdns.projection import Reason
from dtkdns.web import errors
from dtkdns.web.gate import Gate
from dtkdns.web.management import InForce
from dtkdns.web.site import make_app
from dtkdns.wire import MEDIA_TYPE

DOCUMENT = yaml.safe_load((Path(__file__).parents[1] / "docs" / "openapi.yaml").read_text("utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
METHODS = {"get", "post", "delete", "put", "patch", "head", "options", "trace"}
SHOWN = [kind for kind in vars(status).values() if attrs.has(kind)]
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null", datetime: "string"}
EVERYWHERE = {"400", "403", "413", "414", "421", "431", "503"}
"""Statuses of refusals that have nothing to do with what is asked for."""


def operations() -> Iterator[tuple[str, str, Any]]:
    """Path, method, and what the document says of them."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS & item.keys():
            yield path, method, item[method]


def referred(name: str) -> str:
    return f"#/components/schemas/{name}"


def agrees(schema: Mapping[str, Any], kind: Any) -> bool:
    """Whether a schema is that of a type."""
    schema = SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema and not attrs.has(kind) else schema
    if attrs.has(kind):
        return schema == {"$ref": referred(kind.__name__)}
    if "anyOf" in schema and isinstance(kind, UnionType):
        return all(agrees(one, of) for one, of in zip(schema["anyOf"], get_args(kind), strict=True))
    if get_origin(kind) is tuple:
        return schema["type"] == "array" and agrees(schema["items"], get_args(kind)[0])
    if get_origin(kind) is Mapping:
        return schema["type"] == "object" and agrees(schema["additionalProperties"], get_args(kind)[1])
    types = [TYPES[one] for one in get_args(kind)] if isinstance(kind, UnionType) else TYPES[kind]
    is_time = kind is datetime or datetime in get_args(kind)
    return schema["type"] == types and (schema.get("format") == "date-time") == is_time


def test_the_paths_and_methods_are_those_of_the_routes() -> None:
    gate = Gate(Access(), lambda _name: False)
    app = make_app(gate, provider=None, overview=SimpleNamespace(passes=None), metrics=None, clock=None)
    routes = {
        (rule.rule.replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD"}
    }
    assert {(path, method) for path, method, _operation in operations()} == routes


def test_a_path_declares_what_stands_in_it() -> None:
    for path, item in DOCUMENT["paths"].items():
        declared = [one["$ref"].rpartition("/")[2] for one in item.get("parameters", [])]
        assert declared == [part.strip("{}") for part in path.split("/") if part.startswith("{")], path


@pytest.mark.parametrize("kind", SHOWN, ids=lambda kind: kind.__name__)
def test_a_schema_of_the_status_has_exactly_the_fields_of_its_class(kind: type) -> None:
    schema = SCHEMAS[kind.__name__]
    fields = [field.name for field in attrs.fields(kind)]
    assert list(schema["properties"]) == fields
    assert sorted(schema["required"]) == sorted(fields)
    hints = get_type_hints(kind)
    for field in fields:
        assert agrees(schema["properties"][field], hints[field]), field


def test_the_calls_for_status_and_readiness_answer_with_these_schemas() -> None:
    for path, code, kind in (
        ("/status", "200", status.ServiceStatus),
        ("/readyz", "200", status.Readiness),
        ("/readyz", "503", status.Readiness),
    ):
        content = DOCUMENT["paths"][path]["get"]["responses"][code]["content"]
        assert content["application/json"]["schema"] == {"$ref": referred(kind.__name__)}


def test_every_property_of_the_status_is_described() -> None:
    for kind in SHOWN:
        for name, schema in SCHEMAS[kind.__name__]["properties"].items():
            target = SCHEMAS[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
            assert target["description"], (kind, name)


def test_the_reasons_why_a_record_is_not_shown_are_those_there_are() -> None:
    words = [reason.word for reason in Reason]
    assert SCHEMAS["HiddenStatus"]["properties"]["reason"]["enum"] == words


def test_what_management_answers_has_exactly_the_fields_of_its_class() -> None:
    fields = {field.name: field for field in msgspec.structs.fields(InForce)}
    assert SCHEMAS["InForce"]["properties"].keys() == fields.keys()
    assert SCHEMAS["InForce"]["required"] == [name for name, field in fields.items() if field.required]


def test_every_status_of_an_error_is_documented_and_no_other() -> None:
    documented = {code for _path, _method, operation in operations() for code in operation["responses"]}
    raised = {str(code) for code, _refusal in errors._CODES.values()}
    assert documented - {"200", "204"} == raised


def test_every_call_documents_the_refusals_that_any_request_may_meet() -> None:
    for path, method, operation in operations():
        codes = operation["responses"].keys()
        assert codes >= EVERYWHERE, (method, path)
        assert ("401" in codes) == (path != "/healthz"), (method, path)
        assert ("408" in codes) == (not path.endswith(("/records", "/adjustendpoints"))), (method, path)
        assert "{" not in path or "404" in codes, (method, path)


def test_the_media_type_of_the_webhook_is_spelled_as_it_is_sent() -> None:
    spelled = {
        media_type
        for path, _method, operation in operations()
        if "webhook" in operation["tags"]
        for content in (operation.get("requestBody", {}), *operation["responses"].values())
        for media_type in content.get("content", {})
    }
    assert spelled == {MEDIA_TYPE.decode("ascii")}


def test_the_document_is_for_the_version_that_runs() -> None:
    assert DOCUMENT["info"]["version"] == overview.VERSION
