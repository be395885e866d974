"""Photos that look the same, and the groups that they form. Pure numpy and scipy, in chunks.

Two steps. (1) Candidates: the cosine of the 63 lowest frequencies of the grey thumbnail's cosine transform
(what a perceptual hash keeps one bit each of) in the eight orientations of a rectangle. (2) Confirmation: the
correlation of the high-passed colour thumbnails after the best small shift. The first alone joins whatever
lies in the middle of a white board: on TrashNet, cosine > .93 joins 472 of the 2,527 photos, nearly all
wrongly. The second asks for the same edges in the same colours.

Measured on TrashNet with the limits below: 83 photos in 41 groups, the largest of 3, beside three pairs of
identical files in two classes; its README counts 88 photos with a near-duplicate. Seen by eye on sheets of
pairs sorted by step 2: above .85 each pair is one scene, moved by some pixels or lit otherwise; from .85 to
.65 half are one thing moved further (foil, a carton, bottle tops from above), half are things of one kind in
one place, which does no harm in one split; below .65 most are different lids and bottles. Mirrored or turned
pairs are of different things up to .82, so they need more; an exact copy that was turned reaches .99. The
price: a pair that moved by more than an eighth of the photo, or was zoomed, is missed; things of one strong
outline in one place are joined though they differ inside.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, irfft2, rfft2
from scipy.ndimage import uniform_filter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from harness.data.store import Pixels
from harness.metrics import Ints

Reals = NDArray[np.float32]

ALIKE = 0.90  # cosine of the low frequencies: a candidate; costs time, not truth
SAME = 0.65  # correlation of the shifted high-pass: confirmed
SAME_TURNED = 0.85  # the same for a mirrored or turned pair, where like outlines are commoner
LOW = 8  # frequencies a side
SHIFT = 6  # thumbnail pixels either way: an eighth of the photo
HIGH_PASS = 9  # thumbnail pixels: the window whose mean is taken off
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
CHUNK = 512  # rows at once: 512 x 50,000 cosines are 100 MB


def duplicate_groups(thumbnails: Pixels, digests: Sequence[str] = ()) -> Ints:
    """A group number for each photo, the same for near-duplicates and for what those are near to: shape (n,).

    `thumbnails`: (n, side, side, 3), the whole photos squeezed into squares. `digests`: of the photos' bytes, or
    none; photos of the same bytes are in one group (a flat photo is near to nothing, not even to its copy).
    """
    n = len(thumbnails)
    if n == 0:
        return np.zeros(0, np.int64)
    first = {digest: number for number, digest in reversed(list(enumerate(digests)))}
    same = np.array([(first[digest], number) for number, digest in enumerate(digests)], dtype=np.int64)
    pairs = np.concatenate([near_duplicates(thumbnails), same.reshape(-1, 2)])
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    _, groups = connected_components(links, directed=False)
    return np.asarray(groups, dtype=np.int64)


def near_duplicates(thumbnails: Pixels) -> Ints:
    """The pairs (i, j), i < j, of photos that look the same, also mirrored or turned: shape (pairs, 2)."""
    low = np.concatenate(
        [_low_frequencies(part) for part in np.split(thumbnails, range(CHUNK, len(thumbnails), CHUNK))]
    )
    confirmed = [np.zeros((0, 2), dtype=np.int64)]
    for turn in range(8):
        turned = _unit(turn_frequencies(low, turn)).T
        for start in range(0, len(low), CHUNK):
            rows = _unit(low[start : start + CHUNK])
            i, j = np.nonzero(rows @ turned[:, start:] > ALIKE)
            i, j = i[i < j] + start, j[i < j] + start
            for part in range(0, len(i), CHUNK):
                left, right = i[part : part + CHUNK], j[part : part + CHUNK]
                likeness = shifted_correlation(thumbnails[left], turn_pictures(thumbnails[right], turn))
                same = likeness > (SAME if turn == 0 else SAME_TURNED)
                confirmed.append(np.stack([left[same], right[same]], axis=1))
    return np.unique(np.concatenate(confirmed), axis=0)


def turn_pictures(pictures: Pixels, turn: int) -> Pixels:
    """(n, side, side, 3) in one of eight orientations: 4 swaps the axes, then 1 mirrors columns, 2 rows."""
    if turn & 4:
        pictures = pictures.swapaxes(1, 2)
    return pictures[:, :: -1 if turn & 2 else 1, :: -1 if turn & 1 else 1]


def turn_frequencies(low: Reals, turn: int) -> Reals:
    """Frequencies (n, LOW, LOW) of the turned pictures: mirroring changes the signs of the odd ones."""
    if turn & 4:
        low = low.swapaxes(1, 2)
    signs = (-1.0) ** np.arange(LOW, dtype=np.float32)
    if turn & 1:
        low = low * signs
    return low * signs[:, None] if turn & 2 else low


def shifted_correlation(left: Pixels, right: Pixels) -> Reals:
    """Correlation in [-1, 1] of two pictures' edges where they overlap after the best shift: shape (n,).

    `left`, `right`: (n, side, side, 3). A flat picture correlates with nothing: 0.
    """
    a, b = _edges(left), _edges(right)
    side = a.shape[1]
    spectrum = rfft2(a @ LUMA) * np.conj(rfft2(b @ LUMA))
    offsets = np.r_[0 : SHIFT + 1, -SHIFT:0]
    matches = irfft2(spectrum, s=(side, side))[:, offsets[:, None], offsets]
    best = matches.reshape(len(a), -1).argmax(axis=1)
    dy, dx = offsets[best // len(offsets)], offsets[best % len(offsets)]
    place = np.arange(side)
    y, x = place - dy[:, None], place - dx[:, None]  # where in b each row and column of a is
    inside = ((y >= 0) & (y < side))[:, :, None] & ((x >= 0) & (x < side))[:, None, :]
    moved = b[np.arange(len(b))[:, None, None], y[:, :, None] % side, x[:, None, :] % side]
    a, moved = a * inside[..., None], moved * inside[..., None]
    energy = np.einsum("nyxc,nyxc->n", a, a) * np.einsum("nyxc,nyxc->n", moved, moved)
    product: Reals = np.einsum("nyxc,nyxc->n", a, moved) / np.sqrt(np.maximum(energy, 1e-6))
    return product


def _edges(pictures: Pixels) -> Reals:
    values = pictures.astype(np.float32)
    edges: Reals = values - uniform_filter(values, (0, HIGH_PASS, HIGH_PASS, 0))
    return edges


def _low_frequencies(pictures: Pixels) -> Reals:
    low: Reals = dctn(pictures @ LUMA, axes=(1, 2), norm="ortho")[:, :LOW, :LOW].copy()
    low[:, 0, 0] = 0.0  # the mean says how light it was
    return low


def _unit(low: Reals) -> Reals:
    flat = low.reshape(len(low), -1)
    unit: Reals = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), np.float32(1e-6))
    return unit
