// Which point of the plane is near: points are sorted into the cells of a grid once.

const CELLS = 128;

export class Nearest {
  /** Of interleaved places, all from -1 to 1. */
  constructor(places) {
    this.places = places;
    const count = places.length / 2;
    const starts = new Uint32Array(CELLS * CELLS + 1);
    const cellOf = new Uint32Array(count);
    for (let n = 0; n < count; n += 1) {
      cellOf[n] = this.cell(places[2 * n + 1]) * CELLS + this.cell(places[2 * n]);
      starts[cellOf[n] + 1] += 1;
    }
    for (let cell = 0; cell < CELLS * CELLS; cell += 1) starts[cell + 1] += starts[cell];
    this.starts = starts;
    this.members = new Uint32Array(count);
    const next = starts.slice();
    for (let n = 0; n < count; n += 1) {
      this.members[next[cellOf[n]]] = n;
      next[cellOf[n]] += 1;
    }
  }

  cell(value) { return Math.max(0, Math.min(CELLS - 1, Math.floor(((value + 1) / 2) * CELLS))); }

  /** The point nearest to a place within `radiusX` and `radiusY`, or -1; only points that `shown` has. */
  find(x, y, radiusX, radiusY, shown) {
    let best = -1;
    let least = 1;
    for (let row = this.cell(y - radiusY); row <= this.cell(y + radiusY); row += 1) {
      for (let column = this.cell(x - radiusX); column <= this.cell(x + radiusX); column += 1) {
        const cell = row * CELLS + column;
        for (let place = this.starts[cell]; place < this.starts[cell + 1]; place += 1) {
          const n = this.members[place];
          if (!shown[n]) continue;
          const distance = ((this.places[2 * n] - x) / radiusX) ** 2 + ((this.places[2 * n + 1] - y) / radiusY) ** 2;
          if (distance < least) {
            least = distance;
            best = n;
          }
        }
      }
    }
    return best;
  }

  /** The next point from point `from` in a direction of the plane, within 45 degrees of it; or -1. */
  towards(from, directionX, directionY, shown) {
    let best = -1;
    let least = Infinity;
    for (let n = 0; n < shown.length; n += 1) {
      if (!shown[n] || n === from) continue;
      const x = this.places[2 * n] - this.places[2 * from];
      const y = this.places[2 * n + 1] - this.places[2 * from + 1];
      const along = x * directionX + y * directionY;
      const across = Math.abs(x * directionY) + Math.abs(y * directionX);
      // Equal places would never be left again.
      if (along <= 1e-6 || across > along) continue;
      const cost = along + across;
      if (cost < least) {
        least = cost;
        best = n;
      }
    }
    return best;
  }
}
