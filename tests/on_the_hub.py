"""How tests have programs of their own talk to the stand-in of the Hub, which is made in tests/end_to_end/conftest.py.

huggingface_hub reads its environment when it is imported: who is to ask another Hub needs another process.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import BertConfig, BertModel, PreTrainedTokenizerBase


def save_tiny_encoder(folder: Path, tokenizer: PreTrainedTokenizerBase) -> None:
    """A BERT of one layer with random weights."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(tokenizer), **sizes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def tell(program: str, who: str, folder: Path, hub: Any, token: str | None = None) -> list[str]:
    """Run a program, with `who` and `folder` as its arguments, against a Hub; returns the lines that it prints.

    Args:
        token: of who is known to the Hub.
    """
    asked_before = len(hub.transcript)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment |= {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / f"home-{who}"), "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_UPDATE_DOWNLOAD_COUNTS": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"NO_PROXY": "127.0.0.1", **({"HF_TOKEN": token} if token else {})}
    modules = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, modules))
    done = subprocess.run(
        [sys.executable, program, who, str(folder)], env=environment, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, "\n".join(
        [f"{who}:", done.stdout, done.stderr, "What the Hub was asked:", *hub.transcript[asked_before:]]
    )
    lines = done.stdout.splitlines()
    assert not [line for line in lines if line.startswith("elsewhere: ")]
    return lines


def step(name: str) -> None:
    """Say, inside the program, that a part of it is done."""
    print(f"step: {name}", flush=True)


def steps_of(lines: list[str]) -> list[str]:
    """The parts of a program that are done."""
    return [line.removeprefix("step: ") for line in lines if line.startswith("step: ")]


def stay_on_this_machine() -> None:
    """Inside the program: no other machine can be reached, and who asks for one is told of."""
    sys.addaudithook(_refuse_other_machines)
    # It would be asked of another machine, whose name datasets makes from the endpoint's.
    datasets.config.USE_PARQUET_EXPORT = False


def _refuse_other_machines(event: str, arguments: Any) -> None:
    host = None
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    if host not in (None, "127.0.0.1"):
        print(f"elsewhere: {host}", flush=True)
        raise socket.gaierror(f"{host}: not on this machine")
