"""The part of JSON Schema that api/openapi.json uses; a keyword it does not know is an error."""
import re

KNOWN = {"$ref", "type", "properties", "required", "additionalProperties", "items", "minItems",
         "maxItems", "minimum", "maximum", "pattern", "enum", "oneOf", "description", "default"}
TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}


def resolve(document, reference):
    """The thing that "#/a/b" names."""
    found = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def faults(document, schema, value, where="$"):
    """What is wrong with the value, as a list of sentences."""
    unknown = set(schema) - KNOWN
    if unknown:
        return ["%s: schema has %s, which is not checked here" % (where, sorted(unknown))]
    if "$ref" in schema:
        return faults(document, resolve(document, schema["$ref"]), value, where)
    found = []
    if "oneOf" in schema:
        tries = [faults(document, s, value, where) for s in schema["oneOf"]]
        if sum(not t for t in tries) != 1:
            found.append("%s: fits %d of %d: %s" % (where, sum(not t for t in tries), len(tries),
                                                    "; ".join(t[0] for t in tries if t)))
    types = schema.get("type")
    if types is not None:
        types = [types] if isinstance(types, str) else types
        if not any(TYPES[t](value) for t in types):
            return found + ["%s: %.60r is no %s" % (where, value, " or ".join(types))]
    if "enum" in schema and value not in schema["enum"]:
        found.append("%s: %.60r is none of %s" % (where, value, schema["enum"]))
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        found.append("%s: %.60r does not match %s" % (where, value, schema["pattern"]))
    if TYPES["number"](value):
        if value < schema.get("minimum", value) or value > schema.get("maximum", value):
            found.append("%s: %r is out of range" % (where, value))
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found.append("%s: %d items" % (where, len(value)))
        for i, item in enumerate(value if "items" in schema else ()):
            found += faults(document, schema["items"], item, "%s[%d]" % (where, i))
            if len(found) > 5:
                break
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += ["%s: no %s" % (where, k) for k in schema.get("required", ()) if k not in value]
        if schema.get("additionalProperties") is False:
            found += ["%s: unexpected %s" % (where, k) for k in value if k not in properties]
        for k, v in value.items():
            if k in properties:
                found += faults(document, properties[k], v, "%s.%s" % (where, k))
    return found
