"""The Open Inference Protocol v2, through reflection and through the client that NVIDIA publishes for Triton. Triton's
own form of the stream is left out: under the same method it has another answer than MLServer's, which is spoken here."""

import grpc
import numpy
import tritonclient.grpc as triton
from checks import equal
from model import expected
from reflected import Refused, Server

SERVICE = "inference.GRPCInferenceService"
ROWS = numpy.array([[1, 2, 3], [4, 5, 6], [-1, 0, 0.5]], dtype=numpy.float32)


def request(rows, name="x", datatype="FP32", shape=None):
    """The fields of a ModelInferRequest with one input in typed contents."""
    tensor = {"name": name, "datatype": datatype, "shape": shape or list(rows.shape)}
    tensor["contents"] = {"fp32_contents": rows.flatten().tolist()}
    return {"id": "row-1", "inputs": [tensor]}


def infers_by_reflection(server: Server, model: str):
    equal(server.call(SERVICE, "ServerReady").ready, True)
    equal(server.call(SERVICE, "ModelReady", name=model).ready, True)
    typed = server.call(SERVICE, "ModelInfer", model_name=model, **request(ROWS))
    equal((typed.id, list(typed.outputs[0].shape)), ("row-1", [3, 1]))
    equal(numpy.allclose(values(typed), expected(ROWS)), True)
    raw = request(ROWS)
    del raw["inputs"][0]["contents"]
    answer = server.call(SERVICE, "ModelInfer", model_name=model, raw_input_contents=[ROWS.tobytes()], **raw)
    equal(numpy.allclose(values(answer), expected(ROWS)), True)
    streamed = server.call(SERVICE, "ModelStreamInfer", [{"model_name": model, **request(ROWS)}] * 3)
    equal([numpy.allclose(values(part), expected(ROWS)) for part in streamed], [True] * 3)


def values(answer) -> numpy.ndarray:
    """The first output's numbers, raw or typed."""
    shape = list(answer.outputs[0].shape)
    if answer.raw_output_contents:
        return numpy.frombuffer(answer.raw_output_contents[0], dtype=numpy.float32).reshape(shape)
    return numpy.array(answer.outputs[0].contents.fp32_contents, dtype=numpy.float32).reshape(shape)


def refuses_wrong_inputs(server: Server, model: str):
    wrong = {
        "another name": request(ROWS, name="z"),
        "another type": request(ROWS, datatype="INT64"),
        "no type": request(ROWS, datatype="NUMBER"),
        "another shape": request(ROWS, shape=[3, 4]),
        "a negative shape": request(ROWS, shape=[-3, -3]),
        "no inputs": {"id": "row-1"},
    }
    for name, fields in wrong.items():
        try:
            server.call(SERVICE, "ModelInfer", model_name=model, **fields)
        except Refused as refused:
            equal((name, refused.code), (name, grpc.StatusCode.INVALID_ARGUMENT))
            equal((name, len(refused.violations) > 0), (name, True))
            continue
        raise AssertionError(f"{name} was taken")
    try:
        server.call(SERVICE, "ModelInfer", model_name="nobody", **request(ROWS))
    except Refused as refused:
        equal(refused.code, grpc.StatusCode.NOT_FOUND)
        return
    raise AssertionError("a model that is not there answered")


def triton_input() -> triton.InferInput:
    tensor = triton.InferInput("x", list(ROWS.shape), "FP32")
    tensor.set_data_from_numpy(ROWS)
    return tensor


def triton_reads_metadata(address: str, model: str):
    with triton.InferenceServerClient(address) as client:
        equal((client.is_server_live(), client.is_server_ready(), client.is_model_ready(model)), (True, True, True))
        metadata = client.get_model_metadata(model)
        equal([(t.name, t.datatype, list(t.shape)) for t in metadata.inputs], [("x", "FP32", [-1, 3])])
        equal([(t.name, t.datatype) for t in metadata.outputs], [("y", "FP32")])
        equal(client.get_server_metadata().name != "", True)


def triton_infers(address: str, model: str):
    with triton.InferenceServerClient(address) as client:
        answer = client.infer(model, [triton_input()], outputs=[triton.InferRequestedOutput("y")])
        equal(numpy.allclose(answer.as_numpy("y"), expected(ROWS)), True)
