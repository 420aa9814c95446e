"""The number type in which a model is fastest on this machine's CPU."""

from __future__ import annotations

import logging
import statistics
import time
from functools import lru_cache

import torch
from torch import nn

logger = logging.getLogger(__name__)

# A layer of BERT base, and as many tokens as a chunk of markers has.
TOKENS, HIDDEN, INTERMEDIATE = 512, 768, 3072
REPEATS = 5
# bfloat16 must be this much faster in the self-test: attention and small operations gain less than linear layers.
LEAST_GAIN = 1.5


@lru_cache
def bfloat16_gain() -> float:
    """Speed of a linear layer in bfloat16 over its speed in float32, on this CPU; measured once a process."""
    return _seconds(torch.float32) / _seconds(torch.bfloat16)


def fastest_cpu_dtype() -> torch.dtype:
    """`torch.bfloat16` where it is clearly faster than `torch.float32` on this CPU, else `torch.float32`.

    CPUs without instructions for bfloat16 emulate it, and may be a hundred times slower. So the function runs a linear
    layer in both types, once a process (about a tenth of a second), and believes the clock alone. The scores of a model
    in bfloat16 differ in the third digit.

    Example:
        >>> model = AutoModel.from_pretrained("org/plmarker-scierc", dtype=fastest_cpu_dtype())  # doctest: +SKIP
    """
    if bfloat16_gain() >= LEAST_GAIN:
        return torch.bfloat16
    logger.warning(
        "bfloat16 linear layers run at %.2f times the speed of float32 on this CPU, and a model gains only from %g "
        "times on: staying with float32",
        bfloat16_gain(),
        LEAST_GAIN,
    )
    return torch.float32


@torch.inference_mode()
def _seconds(dtype: torch.dtype) -> float:
    """Median time of a linear layer."""
    layer, states = nn.Linear(HIDDEN, INTERMEDIATE, dtype=dtype), torch.ones(TOKENS, HIDDEN, dtype=dtype)
    times = []
    # The first run prepares the weights.
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        layer(states)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])
