"""The embedded data set: photo-like scenes of rubbish on the ground, rendered from seeds, with COCO boxes.

Nothing real can be shipped, so each scene is drawn: objects as fine grids of points with normals, lit by a sun
and a sky, on a ground of random kind, photographed by a random phone. Colours, prints, dirt, sizes, grounds and
light are drawn without regard to the class; gloss, transparency, texture and shape alone tell it.
"""

from harness.data.scenes.compose import CLASSES, DEFAULT, SHARES, Scene, SceneObject, render_scene
from harness.data.scenes.write import Progress, encode_jpeg, write_scenes

__all__ = [
    "CLASSES",
    "DEFAULT",
    "SHARES",
    "Progress",
    "Scene",
    "SceneObject",
    "encode_jpeg",
    "render_scene",
    "write_scenes",
]
