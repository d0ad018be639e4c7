"""A small ONNX model, made by the onnx package: y = x · w + b, for rows of three numbers."""

import numpy
from onnx import TensorProto, checker, helper, numpy_helper

WEIGHTS = numpy.array([[1.0], [-2.0], [0.5]], dtype=numpy.float32)
BIAS = numpy.array([0.25], dtype=numpy.float32)


def linear_model() -> bytes:
    """The bytes of the model."""
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])],
        [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(BIAS, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def expected(rows: numpy.ndarray) -> numpy.ndarray:
    """What the model must answer."""
    return rows @ WEIGHTS + BIAS
