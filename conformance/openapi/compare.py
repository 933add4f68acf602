#!/usr/bin/env python3
"""Says in what two descriptions of the API (OpenAPI 3.1) differ, whatever order, names and references they use.

    python3 conformance/openapi/compare.py old.json new.json        every difference on a line: where, the old value, the new one

References are resolved, texts of constants and enumerations are alike in every spelling, and a choice between a type and null is one.
Prose is compared only by being there; with --words also by what it says. Ends with 0 if there is no difference, 1 otherwise.
"""

import argparse
import json
import pathlib
import sys

METHODS = {"get", "head", "post", "put", "patch", "delete", "options"}
PROSE = {"description", "summary", "title"}
MISSING = object()


class Document:
    """One description, read without references."""

    def __init__(self, path: pathlib.Path, words: bool) -> None:
        self.whole = json.loads(path.read_text())
        self.words = words

    def resolve(self, value):
        """What a reference leads to, with what stands beside it."""
        while isinstance(value, dict) and "$ref" in value:
            target = self.whole
            for part in value["$ref"].removeprefix("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            value = {**target, **{name: one for name, one in value.items() if name != "$ref"}}
        return value

    def schema(self, value, seen: tuple = ()):
        """A schema in one spelling."""
        if value is True:
            return {}
        if not isinstance(value, dict):
            return value
        if value.get("$ref") in seen:
            return {"recursive": value["$ref"]}
        seen = (*seen, value["$ref"]) if "$ref" in value else seen
        value = dict(self.resolve(value))
        for word in ("anyOf", "oneOf", "allOf"):
            if word in value:
                value[word] = [self.schema(one, seen) for one in value[word]]
        for word in ("items", "additionalProperties", "not"):
            if word in value:
                value[word] = self.schema(value[word], seen)
        if "properties" in value:
            value["properties"] = {name: self.schema(one, seen) for name, one in value["properties"].items()}
            value["required"] = sorted(value.get("required", []))
        value = self.choice(value)
        for word in PROSE | {"examples", "example", "default"}:
            value.pop(word, None)
        return self.constants(value)

    @staticmethod
    def choice(value: dict) -> dict:
        """`anyOf` or `oneOf` with null as `orNull`."""
        for word in ("anyOf", "oneOf"):
            rest = [one for one in value.get(word, []) if one != {"type": "null"}]
            if word in value and len(rest) < len(value[word]):
                inner = rest[0] if len(rest) == 1 else {"choice": rest}
                others = {name: one for name, one in value.items() if name != word}
                return {**inner, **others, "orNull": True}
            if word in value:
                value["choice"] = sorted(value.pop(word), key=spelled)
        if isinstance(value.get("type"), list) and "null" in value["type"]:
            rest = [one for one in value["type"] if one != "null"]
            value = {**value, "type": rest[0] if len(rest) == 1 else rest, "orNull": True}
        return value

    @staticmethod
    def constants(value: dict) -> dict:
        """A constant is an enumeration of one; the type of an enumeration is that of its values."""
        if "const" in value:
            value["enum"] = [value.pop("const")]
        if "enum" in value:
            values = [one for one in value["enum"] if one is not None]
            if len(values) < len(value["enum"]):
                value["orNull"] = True
            value["enum"] = sorted(values, key=spelled)
            value.pop("type", None)
        return value

    def prose(self, value: dict, name: str):
        text = value.get(name)
        return text if self.words or not text else "(there)"

    def content(self, value: dict) -> dict:
        def one(media: dict) -> dict:
            examples = [media["example"]] if "example" in media else [named["value"] for named in media.get("examples", {}).values()]
            return {"schema": self.schema(media.get("schema", {})), "examples": sorted(examples, key=spelled)}

        return {kind: one(media) for kind, media in value.get("content", {}).items()}

    def parameter(self, value: dict) -> dict:
        value = self.resolve(value)
        described = {name: one for name, one in value.items() if name not in {"name", "in", "schema", "description"}}
        # Without it a parameter may be absent.
        described.setdefault("required", False)
        return {**described, "schema": self.schema(value.get("schema", {})), "default": self.resolve(value.get("schema", {})).get("default"), "description": self.prose(value, "description")}

    def answer(self, value: dict) -> dict:
        value = self.resolve(value)
        headers = {name: self.parameter(one) for name, one in value.get("headers", {}).items()}
        return {"description": self.prose(value, "description"), "headers": headers, "content": self.content(value)}

    def operation(self, value: dict) -> dict:
        parameters = [self.resolve(one) for one in value.get("parameters", [])]
        body = self.resolve(value.get("requestBody", {}))
        described = {name: one for name, one in value.items() if name not in {"parameters", "requestBody", "responses", *PROSE}}
        return {
            **described,
            "summary": self.prose(value, "summary"),
            "description": self.prose(value, "description"),
            "parameters": {f"{one['in']} {one['name']}": self.parameter(one) for one in parameters},
            "body": {"required": body.get("required", False), "content": self.content(body)} if body else None,
            "responses": {status: self.answer(one) for status, one in value.get("responses", {}).items()},
        }

    def described(self) -> dict:
        head = {name: one for name, one in self.whole.items() if name not in {"paths", "components"}}
        operations = {f"{method} {path}": self.operation(one) for path, item in self.whole["paths"].items() for method, one in item.items() if method in METHODS}
        return {"head": head, "security": self.whole["components"].get("securitySchemes"), **operations}


def spelled(value) -> str:
    """A value in one spelling, to sort by."""
    return json.dumps(value, sort_keys=True)


def differences(old, new, where: str):
    """Every place where two values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from differences(old.get(name, MISSING), new.get(name, MISSING), f"{where} › {name}" if where else name)
    elif old is MISSING or new is MISSING or old != new:
        yield where, shown(old), shown(new)


def shown(value) -> str:
    text = "nothing" if value is MISSING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:197]}…"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old", type=pathlib.Path)
    parser.add_argument("new", type=pathlib.Path)
    parser.add_argument("--words", action="store_true", help="compare summaries and descriptions of operations, parameters and answers too")
    options = parser.parse_args()
    old, new = (Document(path, options.words).described() for path in (options.old, options.new))
    found = list(differences(old, new, ""))
    for where, before, after in found:
        print(f"{where}\n    old: {before}\n    new: {after}")
    print(f"{len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
