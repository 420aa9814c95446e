"""Whether the Hub answers: a name that is nowhere must not cost minutes of retries."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.file_download import repo_folder_name

from .modeling.schema_plmarker import PLMarkerError, one_line

# Seconds.
TIMEOUT = 5.0


def check_reachable(name: str, repo_type: str = "model") -> None:
    """Ask the Hub once for a name that is neither on disk nor in the cache.

    Args:
        name: a Hub id, or a path.
        repo_type: `model` or `dataset`.

    Raises:
        PLMarkerError: where the Hub does not answer. What it answers is left to the library that loads the name.
    """
    if Path(name).exists():
        return
    try:
        if Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=name, repo_type=repo_type)).exists():
            return
        HfApi().repo_info(name, repo_type=repo_type, timeout=TIMEOUT)
    except (HfHubHTTPError, HFValidationError):
        return
    except Exception as error:
        # The errors of a connection come from the library below, which has changed its name twice.
        reason = one_line(error)
        raise PLMarkerError(f"{name}: no such file or folder, and the Hub cannot be reached: {reason}") from error
