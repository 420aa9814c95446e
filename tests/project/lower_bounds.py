"""Print the lower bounds of setup.cfg as constraints: `transformers>=5.20` becomes `transformers==5.20`.

For `make test-oldest`, which runs the tests with the oldest versions that an install accepts.
"""

import configparser
import re
from pathlib import Path

SETUP = Path(__file__).parents[2] / "setup.cfg"


def lower_bounds(path: Path = SETUP) -> list[str]:
    """The bounds of plmarker and of its extras. A requirement without a bound is left out.

    Where an extra needs a newer version than plmarker itself, the bound of plmarker counts: that is what the tests
    install.
    """
    setup = configparser.ConfigParser()
    setup.read(path, encoding="utf-8")
    lists = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    lines = [line.strip() for text in lists for line in text.splitlines()]
    found = re.findall(r"^([\w.-]+)(?:\[\w+\])?>=([\w.]+)$", "\n".join(lines), re.M)
    bounds: dict[str, str] = {}
    for name, version in found:
        bounds.setdefault(name, version)
    return [f"{name}=={version}" for name, version in bounds.items()]


if __name__ == "__main__":
    print("\n".join(lower_bounds()))
