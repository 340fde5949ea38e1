// Marching squares: lines where a field of pixels crosses a level. Pure.

// The sides of a square (0 top, 1 right, 2 bottom, 3 left) that a line joins, by the corners above the level:
// 1 top left, 2 top right, 4 bottom right, 8 bottom left. In 5 and 10 two opposite corners are above.
const LINES = [[], [[3, 0]], [[0, 1]], [[3, 1]], [[1, 2]], [[3, 0], [1, 2]], [[0, 2]], [[3, 2]], [[2, 3]], [[2, 0]], [[0, 1], [2, 3]], [[2, 1]], [[1, 3]], [[1, 0]], [[0, 3]], []];
const CORNERS = [[0, 0], [1, 0], [1, 1], [0, 1]]; // x, y

/**
 * Line segments as [x, y, x, y] in pixels, where the centre of pixel 0 is 0.5.
 * @param {Float32Array} field row-major @param {number} side @param {number} level @returns {number[][]}
 */
export function contourLines(field, side, level) {
  const segments = [];
  for (let at = 0; at < side * (side - 1); at += 1) {
    const x = at % side;
    const code = Number(field[at] > level) | (Number(field[at + 1] > level) << 1) | (Number(field[at + side + 1] > level) << 2) | (Number(field[at + side] > level) << 3);
    if (x === side - 1 || code === 0 || code === 15) continue;
    const corners = [field[at], field[at + 1], field[at + side + 1], field[at + side]];
    for (const sides of linesOf(code, corners, level)) segments.push(sides.flatMap((crossed) => crossing(corners, crossed, level, x, (at - x) / side)));
  }
  return segments;
}

/** Where two opposite corners are above, the square's mean says whether they belong together. @param {number} code @param {number[]} corners @param {number} level */
function linesOf(code, corners, level) {
  const joined = (code === 5 || code === 10) && corners.reduce((sum, value) => sum + value) / 4 > level;
  return LINES[joined ? 15 - code : code];
}

/** The point where a side of the square, from its corner `side` to the next, has the level. @param {number[]} corners @param {number} side @param {number} level @param {number} x @param {number} y */
function crossing(corners, side, level, x, y) {
  const next = (side + 1) % 4;
  const share = (level - corners[side]) / (corners[next] - corners[side]);
  return [x, y].map((start, axis) => start + 0.5 + CORNERS[side][axis] + share * (CORNERS[next][axis] - CORNERS[side][axis]));
}
