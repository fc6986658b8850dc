"""Write icosphere_oracle.npz from the code of UGSCNN (Jiang et al. 2019).

    git clone https://github.com/maxjiang93/ugscnn /tmp/ugscnn
    python tests/data/make_icosphere_oracle.py /tmp/ugscnn

`vertices` and `faces` of level 3 of its upright icosphere, from which the climate data set was
made. Its finite-element matrices, which need an old libigl, are skipped.
"""

import sys
from pathlib import Path

import numpy as np

LEVEL = 3


def main() -> None:
    meshcnn = Path(sys.argv[1]) / "meshcnn"
    source = (meshcnn / "mesh_utils.py").read_text() + (meshcnn / "mesh.py").read_text()
    for line in ("import pyigl as igl", "from .mesh_utils import *"):
        source = source.replace(line, "")
    # written for a numpy that still had these names, and its last step needs libigl
    source = source.replace("np.float)", "float)").replace("np.bool:", "bool:")
    source = source.replace("self.construct_matrices()", "return")
    namespace: dict = {}
    exec(source, namespace)
    mesh = namespace["icosphere"](LEVEL, upward=True)
    np.savez_compressed(
        Path(__file__).with_name("icosphere_oracle.npz"),
        vertices=mesh.vertices,
        faces=mesh.faces.astype(np.int32),
    )


if __name__ == "__main__":
    main()
