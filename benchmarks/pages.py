"""Size and times of the page that `plmarker show` writes, in Chromium without a window.

    python benchmarks/pages.py PREDICTIONS --json benchmarks/pages.json

PREDICTIONS is what `plmarker predict` has written. Its documents, over and over, give pages of growing size. Each page
is opened with one more script, which measures:

- ready: from the start of loading until the first documents are laid out
- filter: a threshold is moved, or a label taken away, until the documents in view are drawn anew
- scroll: a jump to another place, until what is there is drawn; at 100 places

Filters and jumps are all in milliseconds, as median and as the slowest one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

MARK = "measured: "
SCRIPT = """<script>
(async () => {
  const settled = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
  const lay = () => document.body.offsetHeight;
  lay();
  await settled();
  const times = {ready: performance.now(), filter: [], scroll: []};
  const timed = async (kind, act) => {
    const start = performance.now();
    act();
    lay();
    await settled();
    times[kind].push(performance.now() - start);
  };
  const slider = document.querySelector("[data-threshold=entities]");
  for (let step = 1; step <= 10; step++)
    await timed("filter", () => { slider.value = step / 20; slider.dispatchEvent(new Event("input")); });
  slider.value = 0;
  slider.dispatchEvent(new Event("input"));
  for (const box of [...document.querySelectorAll("[data-label]")].slice(0, 5))
    for (let n = 0; n < 2; n++) await timed("filter", () => box.click());
  times.pixels = document.body.scrollHeight;
  for (let place = 1; place <= 100; place++)
    await timed("scroll", () => scrollTo(0, (place * 37 % 101) / 101 * document.body.scrollHeight));
  times.drawn = document.querySelectorAll("svg").length;
  console.log("MARK" + JSON.stringify(times));
})();
</script>
""".replace("MARK", MARK)


def in_browser(program: str, page: Path, seconds: float = 300) -> dict[str, Any]:
    """Open a page, and return what its script has measured."""
    with tempfile.TemporaryDirectory() as profile:
        quiet = ("--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update")
        command = [program, "--headless", "--no-sandbox", *quiet, f"--user-data-dir={profile}"]
        command += ["--enable-logging=stderr", "--window-size=1300,900", page.as_uri()]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as browser:
            assert browser.stderr is not None
            try:
                for line in browser.stderr:
                    if MARK in line:
                        found = line.split(MARK)[1].rpartition("}")[0] + "}"
                        times: dict[str, Any] = json.loads(found.replace('\\"', '"'))
                        return times
            finally:
                browser.terminate()
                browser.wait()
    raise SystemExit(f"{program} ended without figures")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("predictions", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1_000])
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise SystemExit("pages.py needs Chromium (Debian's package chromium)")
    documents = [json.loads(line) for line in options.predictions.read_text(encoding="utf-8").splitlines()]
    browser = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    report: dict[str, Any] = {"browser": browser, "cores": os.cpu_count(), "load_average": os.getloadavg(), "pages": {}}
    print("| documents | MiB | `show`, s | ready, s | filter, ms | slowest | scroll, ms | slowest |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            source, page = Path(folder) / "many.jsonl", Path(folder) / "page.html"
            rows = ({**row, "doc_key": str(number)} for number, row in enumerate(islice(cycle(documents), size)))
            source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            start = time.perf_counter()
            show = [sys.executable, "-m", "plmarker", "show", str(source), "--out", str(page)]
            subprocess.run(show, check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - start
            found: dict[str, Any] = {"seconds_of_show": seconds, "bytes": page.stat().st_size}
            text = page.read_text(encoding="utf-8")
            page.write_text(text.replace("</body>", SCRIPT + "</body>"), encoding="utf-8")
            times = in_browser(program, page)
        found |= {"seconds_until_ready": times["ready"] / 1000, "pixels": times["pixels"], "drawn": times["drawn"]}
        for kind in ("filter", "scroll"):
            found[f"{kind}_ms"] = {"median": statistics.median(times[kind]), "slowest": max(times[kind])}
        report["pages"][str(size)] = found
        cells = [f"{found['bytes'] / 2**20:.2f}", f"{seconds:.1f}", f"{found['seconds_until_ready']:.2f}"]
        cells += [f"{found[f'{kind}_ms'][part]:.0f}" for kind in ("filter", "scroll") for part in ("median", "slowest")]
        print(f"| {size} | {' | '.join(cells)} |", flush=True)
    options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
