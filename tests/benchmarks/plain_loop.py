"""The reference: a package's predict in a plain loop over crops, in a fresh process, no judge and no sandbox.

python plain_loop.py PACKAGE CROPS.npy    for each line on stdin: one round over the crops, its ns a crop as JSON
"""

import importlib.util
import json
import os
import sys
from time import perf_counter_ns

import numpy as np


def main(package: str, crops_file: str) -> None:
    crops = list(np.load(crops_file))
    for crop in crops:
        crop.setflags(write=False)
    os.chdir(package)
    sys.path.insert(0, package)
    spec = importlib.util.spec_from_file_location("predict", f"{package}/predict.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    predict = module.load("cpu")
    for _ in sys.stdin:
        times = []
        for crop in crops:
            begin = perf_counter_ns()
            predict([crop])
            times.append(perf_counter_ns() - begin)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
