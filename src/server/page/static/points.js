// Points of a plane on a canvas: one call of the graphics card a frame, whatever their number.
// Without WebGL they are drawn by the 2-D context.

const VERTEX = `
attribute vec2 place; attribute vec3 colour; attribute float shown;
uniform vec2 scale; uniform vec2 shift; uniform float size;
varying vec3 paint; varying float visible;
void main() {
  gl_Position = vec4(place * scale + shift, 0.0, 1.0);
  gl_PointSize = size; paint = colour; visible = shown;
}`;
const FRAGMENT = `
precision mediump float; varying vec3 paint; varying float visible;
void main() {
  vec2 from = gl_PointCoord - 0.5;
  float radius = dot(from, from);
  if (radius > 0.25) discard;
  gl_FragColor = vec4(paint, 1.0) * mix(0.06, 0.85, visible);
}`;

function program(gl) {
  const made = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  return gl.getProgramParameter(made, gl.LINK_STATUS) ? made : null;
}

export function painter(canvas) {
  const gl = canvas.getContext('webgl', { antialias: false, premultipliedAlpha: true, alpha: true });
  const made = gl && program(gl);
  return made ? new Graphics(canvas, gl, made) : new Plain(canvas);
}

class Graphics {
  constructor(canvas, gl, made) {
    Object.assign(this, { canvas, gl, made, count: 0 });
    this.buffers = {};
    gl.useProgram(made);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.uniforms = Object.fromEntries(['scale', 'shift', 'size'].map((name) => [name, gl.getUniformLocation(made, name)]));
  }

  fill(name, values, width) {
    const { gl } = this;
    this.buffers[name] ??= gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    const place = gl.getAttribLocation(this.made, name);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, width, gl.FLOAT, false, 0, 0);
  }

  /** Interleaved places, colours from 0 to 1 (premultiplied is not needed: alpha is the same). */
  load(places, colours, shown) {
    this.count = shown.length;
    this.fill('place', places, 2);
    this.fill('colour', colours, 3);
    this.fill('shown', shown, 1);
  }

  draw({ scaleX, scaleY, shiftX, shiftY, size }) {
    const { gl } = this;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(this.uniforms.scale, scaleX, scaleY);
    gl.uniform2f(this.uniforms.shift, shiftX, shiftY);
    gl.uniform1f(this.uniforms.size, size);
    gl.drawArrays(gl.POINTS, 0, this.count);
  }
}

/** Squares are written into pixels: a call of the 2-D context for each point would take a frame. */
class Plain {
  constructor(canvas) {
    Object.assign(this, { canvas, context: canvas.getContext('2d') });
  }

  load(places, colours, shown) {
    Object.assign(this, { places, shown });
    this.paints = new Uint32Array(shown.length);
    const byte = (n, part) => Math.round(255 * colours[3 * n + part]);
    for (let n = 0; n < shown.length; n += 1) this.paints[n] = ((217 << 24) | (byte(n, 2) << 16) | (byte(n, 1) << 8) | byte(n, 0)) >>> 0;
  }

  draw({ scaleX, scaleY, shiftX, shiftY, size }) {
    const { context, canvas: { width, height }, places, shown, paints } = this;
    if (this.image?.width !== width || this.image?.height !== height) {
      this.image = context.createImageData(width, height);
      this.pixels = new Uint32Array(this.image.data.buffer);
    }
    const { pixels } = this;
    pixels.fill(0);
    const side = Math.max(2, Math.round(Math.min(size, shown.length > 5000 ? 4 : size) * 0.9));
    for (let n = 0; n < shown.length; n += 1) {
      if (!shown[n]) continue;
      const x = Math.round(((places[2 * n] * scaleX + shiftX + 1) / 2) * width - side / 2);
      const y = Math.round(((1 - places[2 * n + 1] * scaleY - shiftY) / 2) * height - side / 2);
      if (x < 0 || y < 0 || x + side > width || y + side > height) continue;
      for (let row = y * width + x, last = row + side * width; row < last; row += width) pixels.fill(paints[n], row, row + side);
    }
    context.putImageData(this.image, 0, 0);
  }
}
