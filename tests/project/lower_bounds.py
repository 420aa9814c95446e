"""Print the lower bounds of setup.cfg as constraints: `transformers>=5.20` becomes `transformers==5.20`.

For `make test-oldest`, which runs the tests with the oldest versions that an install accepts.
"""

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).parents[2] / "setup.cfg"


def lower_bounds(path: Path = SETUP) -> list[str]:
    """Of what plmarker requires and of what its extras do; a requirement without a bound is left out."""
    setup = configparser.ConfigParser()
    setup.read(path, encoding="utf-8")
    lists = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    lines = [line.strip() for text in lists for line in text.splitlines()]
    return [f"{name}=={version}" for name, version in re.findall(r"^([\w.-]+)>=([\w.]+)$", "\n".join(lines), re.M)]


if __name__ == "__main__":
    print("\n".join(lower_bounds()))
