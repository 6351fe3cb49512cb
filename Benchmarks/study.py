"""A study with a ledger: every finished run is one line, and a study goes on where it stopped. Python's standard library only."""
import fnmatch
import json
import math
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Study:
    """Runs recipes, each once.

    A cell names a run. Its line has the command, the recipe, the seed, the commit, when it ended and after how many seconds, and what
    `measure(run, entries)` makes of the run's folder and its journal. A run that ends because numbers were not finite has the line
    `diverged`, where that is given; any other failure ends the study.
    """

    def __init__(self, folder, espalier, measure, only=None, minutes=0, dry=False, jobs=1, diverged=None):
        self.folder, self.espalier, self.only, self.dry, self.jobs = Path(folder), espalier, only, dry, jobs
        self.measure, self.diverged = measure, diverged
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "ledger.jsonl"
        self.lines = [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []
        self.deadline = time.monotonic() + 60 * minutes if minutes else math.inf
        self.commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True,
                                     text=True).stdout.strip()

    def find(self, recipe):
        """The line of a recipe, or None; a ledger may hold lines of peers, which have none."""
        return next((line for line in self.lines if line.get("recipe") == recipe), None)

    def lines_of(self, cells):
        """The lines of {cell: recipe}, those that are missing run first, `jobs` at a time; a cell that is left out is not in the result."""
        missing = []
        for cell, recipe in cells.items():
            same = self.find(recipe)
            if same is None:
                if self.only and not fnmatch.fnmatch(cell, self.only):
                    continue
                if self.dry:
                    print("would run", cell)
                    continue
                missing.append((cell, recipe))
            elif all(line["cell"] != cell for line in self.lines):  # the same run under another name
                self.append(dict(same, cell=cell, sameAs=same["cell"]))
        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(lambda job: self.run(*job), missing))
        return {cell: self.find(recipe) for cell, recipe in cells.items() if self.find(recipe)}

    def run(self, cell, recipe):
        if time.monotonic() > self.deadline:
            return
        run = self.folder / "runs" / re.sub(r"[^A-Za-z0-9.]+", "-", cell)
        subprocess.run(["rm", "-rf", str(run)], check=True)
        run.parent.mkdir(exist_ok=True)
        file = Path(f"{run}.yaml")
        file.write_text(json.dumps(recipe, indent=1))  # JSON is YAML
        command = [self.espalier, "train", str(file), "--run", str(run)]
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True)
        line = dict(cell=cell, command=" ".join(command), recipe=recipe, seed=recipe["seed"], commit=self.commit)
        if done.returncode == 0:
            entries = [json.loads(entry) for entry in (run / "metrics.jsonl").read_text().splitlines()]
            line.update(self.measure(run, entries))
        elif self.diverged is not None and "not finite" in done.stdout + done.stderr:
            line.update(self.diverged, note="diverged")
        else:
            sys.exit(f"{cell} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        line.update(seconds=round(time.monotonic() - started, 2), finished=time.strftime("%Y-%m-%dT%H:%M:%S"))
        self.append(line)
        print(f"{cell}: {self.headline(line)} in {line['seconds']:.0f} s", flush=True)
        subprocess.run(["rm", "-rf", str(run)], check=True)

    @staticmethod
    def headline(line):
        return f"loss {line['loss']:.4f}" if "loss" in line else f"accuracy {line['accuracy']:.1f} %"

    def append(self, line):
        with self.path.open("a") as ledger:
            ledger.write(json.dumps(line) + "\n")
        self.lines.append(line)


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def training(run, entries):
    """Loss and work of a run: the validation loss at its end, operations, targets and seconds of training, the median seconds a step of
    every phase, and its growths."""
    steps = [entry for entry in entries if entry["kind"] == "step"]
    phases = {}
    for entry in steps:
        phases.setdefault(str(entry["phase"]), []).append(entry["secondsPerStep"])
    return dict(
        loss=[entry["loss"] for entry in entries if entry["kind"] == "evaluation"][-1],
        steps=steps[-1]["step"], operations=steps[-1]["total"]["operations"],
        targets=steps[-1]["total"]["targets"], trainingSeconds=steps[-1]["total"]["seconds"],
        secondsPerStep={phase: sorted(values)[len(values) // 2] for phase, values in phases.items()},
        growths=[{key: entry[key] for key in ("step", "operator", "to", "lossBefore", "lossAfter", "seconds")}
                 for entry in entries if entry["kind"] == "growth"])
