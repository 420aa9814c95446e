"""Print the requirements of an extra of setup.cfg, for an environment that does not need plmarker itself.

python tests/project/extra.py docs
"""

import configparser
import sys
from pathlib import Path

SETUP = Path(__file__).parents[2] / "setup.cfg"


def requirements(extra: str, path: Path = SETUP) -> list[str]:
    """The requirements of an extra, one a line in setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(path, encoding="utf-8")
    return setup["options.extras_require"][extra].split()


if __name__ == "__main__":
    print(" ".join(requirements(sys.argv[1])))
