"""Breaks, for every method of a server, each limit that reflection tells of, one at a time."""

import grpc
from google.protobuf.descriptor import FieldDescriptor as F
from reflected import Refused, Server

NUMBERS = (F.CPPTYPE_INT32, F.CPPTYPE_INT64, F.CPPTYPE_UINT32, F.CPPTYPE_UINT64, F.CPPTYPE_FLOAT, F.CPPTYPE_DOUBLE)
FORMATS = {"FORMAT_PROJECT": "Not A Project", "FORMAT_DIGEST": "sha256:12", "FORMAT_REQUEST_ID": "no spaces"}
FORMATS |= {"FORMAT_NAME": "line\nbreak", "FORMAT_IDENTIFIER": "1st", "FORMAT_LABEL": "Not A Label"}
FORMATS |= {"FORMAT_ARTIFACT_PATH": "../outside"}


def broken_values(field, rules):
    """Values of a field that its rules refuse."""
    kind = field.cpp_type
    if kind == F.CPPTYPE_STRING and not field.is_repeated:
        text = field.type == F.TYPE_STRING
        if rules.required:
            yield "" if text else b""
        if rules.resource:
            yield "somewhere/else"
        if rules.HasField("max_len") and rules.max_len <= 1 << 22:
            yield ("x" if text else b"x") * (rules.max_len + 1)
        if rules.format:
            name = type(rules).DESCRIPTOR.fields_by_name["format"].enum_type.values_by_number[rules.format].name
            yield FORMATS[name]
    elif kind in NUMBERS and not field.is_repeated:
        if rules.HasField("gte"):
            yield int(rules.gte) - 1
        if rules.HasField("lte") and rules.lte < 2**31 - 1:
            yield int(rules.lte) + 1
        if rules.finite:
            yield float("nan")


def sweep(server: Server, services) -> int:
    """How many broken requests were refused as they must be. Raises with the list of those that were not."""
    wrong, right = [], 0
    for service in services:
        for method in server.methods(service):
            for field in method.input_type.fields:
                rules = server.rules(field)
                for value in broken_values(field, rules) if rules else ():
                    problem = refusal(server, service, method, field, value)
                    if problem:
                        wrong.append(f"{service}/{method.name} {field.name}={str(value)[:30]!r}: {problem}")
                    else:
                        right += 1
    if wrong:
        raise AssertionError(f"{len(wrong)} of {right + len(wrong)} were not refused well:\n  " + "\n  ".join(wrong))
    return right


def refusal(server: Server, service, method, field, value):
    """What is wrong with the answer to a broken request; None when nothing is."""
    part = {field.name: value}
    try:
        if method.client_streaming:
            server.call(service, method.name, [part])
        else:
            server.call(service, method.name, **part)
    except Refused as refused:
        if refused.code != grpc.StatusCode.INVALID_ARGUMENT:
            return str(refused)
        if field.name not in refused.violations:
            return f"the violations are of {sorted(refused.violations)}"
        return None if "allowed" in refused.violations[field.name] else refused.violations[field.name]
    return "was taken"
