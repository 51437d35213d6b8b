"""ONNX Runtime as a contestant: the graph of the network written by hand, optimised by the runtime at its best level.

i8 is the runtime's dynamic quantisation of the products with weights.
"""

import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from peer import Checkpoint, serve


class Graph:
    """Nodes and weights of the network for rows of any length."""

    def __init__(self, c):
        self.c, self.nodes, self.weights, self.made = c, [], [], 0

    def const(self, value, name=None):
        name = name or f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def op(self, kind, *inputs, **attributes):
        self.made += 1
        out = f"t{self.made}"
        self.nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def linear(self, x, name):
        return self.op("MatMul", x, self.const(self.c.array(name).T.astype(np.float32), name))

    def norm(self, x, name):
        mean = self.op("ReduceMean", self.op("Mul", x, x), self.const(np.array([-1])), keepdims=1)
        root = self.op("Sqrt", self.op("Add", mean, self.const(np.float32(self.c.eps))))
        return self.op("Mul", self.op("Div", x, root), self.const(self.c.array(name)))

    def heads(self, x):
        c = self.c
        x = self.op("Reshape", x, self.const(np.array([0, 0, c.heads, c.width // c.heads])))
        return self.op("Transpose", x, perm=[0, 2, 1, 3])

    def rotate(self, x, cos, sin):
        self.made += 2
        a, b = f"t{self.made - 1}", f"t{self.made}"
        self.nodes.append(helper.make_node("Split", [x], [a, b], axis=-1, num_outputs=2))
        first = self.op("Sub", self.op("Mul", a, cos), self.op("Mul", b, sin))
        second = self.op("Add", self.op("Mul", b, cos), self.op("Mul", a, sin))
        return self.op("Concat", first, second, axis=-1)

    def block(self, x, i, cos, sin):
        c, at = self.c, f"blocks.{i}."
        y = self.norm(x, at + "attn_norm")
        q, k, v = (self.heads(self.linear(y, at + n)) for n in ("q_proj", "k_proj", "v_proj"))
        q, k = self.rotate(q, cos, sin), self.rotate(k, cos, sin)
        s = self.op("MatMul", self.op("Mul", q, self.const(np.float32((c.width // c.heads) ** -0.5))), self.op("Transpose", k, perm=[0, 1, 3, 2]))
        o = self.op("Transpose", self.op("MatMul", self.op("Softmax", s, axis=-1), v), perm=[0, 2, 1, 3])
        o = self.op("Reshape", o, self.const(np.array([0, 0, c.width])))
        x = self.op("Add", x, self.linear(o, at + "attn_out"))
        y = self.norm(x, at + "ff_norm")
        gate = self.linear(y, at + "ff_proj")
        h = self.op("Mul", self.op("Mul", gate, self.op("Sigmoid", gate)), self.linear(y, at + "up_proj"))
        return self.op("Add", x, self.linear(h, at + "ff_out"))

    def write(self, path):
        c = self.c
        cos = self.op("Gather", self.const(angles(c, np.cos)), "positions")
        sin = self.op("Gather", self.const(angles(c, np.sin)), "positions")
        x = self.op("Gather", self.const(c.array("wte")), "tokens")
        for i in range(c.layers):
            x = self.block(x, i, cos, sin)
        self.nodes.append(helper.make_node("Identity", [self.linear(self.norm(x, "ln_f"), "ff_out")], ["logits"]))
        graph = helper.make_graph(
            self.nodes,
            "llada",
            [helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "n"]), helper.make_tensor_value_info("positions", TensorProto.INT64, ["n"])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, "n", c.vocab])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
        model.ir_version = 9
        onnx.save(model, path, save_as_external_data=True, location=os.path.basename(path) + ".data")


def angles(c, f):
    half = c.width // c.heads // 2
    return f(np.arange(4096)[:, None] * c.theta ** (-np.arange(half) / half)[None]).astype(np.float32)


def main():
    folder, dtype, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as tmp:
        path = os.path.join(tmp, "model.onnx")
        Graph(Checkpoint(folder)).write(path)
        if dtype == "i8":
            from onnxruntime.quantization import QuantType, quantize_dynamic

            small = os.path.join(tmp, "i8.onnx")
            quantize_dynamic(path, small, weight_type=QuantType.QInt8, use_external_data_format=True)
            path = small
        o = ort.SessionOptions()
        o.intra_op_num_threads, o.inter_op_num_threads = threads, 1
        o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        session = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])

    def forward(tokens):
        out = session.run(None, {"tokens": np.array([tokens]), "positions": np.arange(len(tokens))})[0][0]
        return lambda p, i: out[p, i]

    serve({"onnxruntime": ort.__version__, "onnx": onnx.__version__}, {"forward": forward})


if __name__ == "__main__":
    main()
