"use strict";
/* Runs a list of operators on Float32Array. A value is {data, shape}; pictures are (1, c, h, w), one at a time.
   Each kernel gets its inputs, the operator's options, and the shape that the operator had when it was traced. */
const Engine = (() => {
  const size = (shape) => shape.reduce((a, b) => a * b, 1);
  const value = (shape, data) => ({ shape, data: data || new Float32Array(size(shape)) });

  /* Products of matrices, c (m, n) = a (m, k) b (k, n): nearly all of the work. WebAssembly with vectors of four numbers does
     them where the browser has it, JavaScript elsewhere. `b` is cut into panels of 8 columns (the last one of 4, if that
     suffices), each stored row after row, so that it is read in order. `rooms` gives arrays to fill: b, and c with rows of
     `wide` numbers. */
  const width = (n) => Math.ceil(n / 4) * 4;

  function pack(b, n, k, panels) {
    for (let j = 0, out = 0; j < n; ) {
      const part = n - j > 4 ? 8 : 4, real = Math.min(part, n - j);
      for (let p = 0, r = j; p < k; p++, r += n, out += part)
        for (let q = 0; q < real; q++) panels[out + q] = b[r + q];
      j += part;
    }
  }

  function scriptPanel(a, aStart, panels, at, c, cStart, m, k, wide, part) {
    const f = Math.fround;
    for (let i = 0; i < m; i++)
      for (let j = 0; j < part; j += 4) {
        let c0 = f(0), c1 = f(0), c2 = f(0), c3 = f(0);
        for (let p = 0, r = aStart + i * k, q = at + j; p < k; p++, q += part) {
          const x = a[r++];
          c0 = f(c0 + f(x * panels[q])); c1 = f(c1 + f(x * panels[q + 1]));
          c2 = f(c2 + f(x * panels[q + 2])); c3 = f(c3 + f(x * panels[q + 3]));
        }
        const o = cStart + i * wide + j;
        if (j < wide) { c[o] = c0; c[o + 1] = c1; c[o + 2] = c2; c[o + 3] = c3; }
      }
  }

  /* The bytes of a module with two functions, panel8 and panel4: (a, b, c, m, k, rowOfC), all in bytes but m and k. */
  function assemble() {
    const number = (n) => { const out = []; do { out.push((n & 127) | (n > 127 ? 128 : 0)); n >>>= 7; } while (n); return out; };
    const signed = (n) => { const out = []; for (;;) { const low = n & 127; n >>= 7; if ((n === 0 && !(low & 64)) || (n === -1 && low & 64)) return [...out, low]; out.push(low | 128); } };
    const get = (i) => [0x20, ...number(i)], set = (i) => [0x21, ...number(i)], int = (n) => [0x41, ...signed(n)];
    const add = [0x6a], mul = [0x6c], zero = [0xfd, 0x0c, ...new Array(16).fill(0)];
    const load = (at) => [0xfd, 0x00, 2, ...number(at)], splat = (at) => [0xfd, 0x09, 2, ...number(at)];
    const store = (at) => [0xfd, 0x0b, 2, ...number(at)], addVector = [0xfd, 0xe4, 0x01], mulVector = [0xfd, 0xe6, 0x01];
    const move = (i, by) => [...get(i), ...by, ...add, ...set(i)];
    const [A, B, C, M, K, ROW, END, PB, SIDE] = [0, 1, 2, 3, 4, 5, 6, 7, 8], PA = 9, SUM = 13; // locals
    const tile = (rows, vectors) => { // `rows` rows of c, then the pointers go to the next ones
      const code = [], b = SUM + 8, x = b + 2;
      for (let r = 0; r < rows; r++) {
        code.push(...(r ? [...get(PA + r - 1), ...get(SIDE), ...add] : get(A)), ...set(PA + r));
        for (let v = 0; v < vectors; v++) code.push(...zero, ...set(SUM + r * 2 + v));
      }
      code.push(...get(B), ...set(PB), ...get(B), ...get(K), ...int(16 * vectors), ...mul, ...add, ...set(END), 0x03, 0x40);
      for (let v = 0; v < vectors; v++) code.push(...get(PB), ...load(16 * v), ...set(b + v));
      for (let r = 0; r < rows; r++) {
        code.push(...get(PA + r), ...splat(0), ...set(x));
        for (let v = 0; v < vectors; v++) {
          const sum = SUM + r * 2 + v;
          code.push(...get(sum), ...get(x), ...get(b + v), ...mulVector, ...addVector, ...set(sum));
        }
        code.push(...move(PA + r, int(4)));
      }
      code.push(...move(PB, int(16 * vectors)), ...get(PB), ...get(END), 0x49, 0x0d, 0, 0x0b);
      for (let r = 0; r < rows; r++) {
        for (let v = 0; v < vectors; v++) code.push(...get(C), ...get(SUM + r * 2 + v), ...store(16 * v));
        code.push(...move(C, get(ROW)));
      }
      return [...code, ...get(PA + rows - 1), ...set(A), ...move(M, int(-rows))]; // the last row's pointer is at its end
    };
    const repeat = (rows, vectors) => [ // while (m >= rows)
      0x02, 0x40, 0x03, 0x40, ...get(M), ...int(rows), 0x48, 0x0d, 1, ...tile(rows, vectors), 0x0c, 0, 0x0b, 0x0b,
    ];
    const section = (id, body) => [id, ...number(body.length), ...body];
    const body = (vectors) => {
      const code = [
        2, 7, 0x7f, 11, 0x7b, // locals: 7 numbers, 11 vectors
        ...get(K), ...int(4), ...mul, ...set(SIDE), ...repeat(4, vectors), ...repeat(1, vectors), 0x0b,
      ];
      return [...number(code.length), ...code];
    };
    const name = (text) => [text.length, ...[...text].map((c) => c.charCodeAt(0))];
    return new Uint8Array([
      0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...section(1, [1, 0x60, 6, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0]),
      ...section(3, [2, 0, 0]), ...section(5, [1, 0, 1]),
      ...section(7, [3, ...name("memory"), 2, 0, ...name("panel8"), 0, 0, ...name("panel4"), 0, 1]),
      ...section(10, [2, ...body(2), ...body(1)]),
    ]);
  }

  let vectors = null;
  try {
    vectors = new WebAssembly.Instance(new WebAssembly.Module(assemble())).exports;
  } catch (error) {
    vectors = null; // an old browser, or one that forbids it: JavaScript does the work
  }
  const placed = new WeakMap(); // weights -> where they are in the memory of WebAssembly
  let top = 0;

  function grow(bytes) {
    const missing = bytes - vectors.memory.buffer.byteLength;
    if (missing > 0) vectors.memory.grow(Math.ceil(missing / 65536));
  }

  function place(a) {
    if (!placed.has(a)) {
      grow(top + a.byteLength);
      new Float32Array(vectors.memory.buffer, top, a.length).set(a);
      placed.set(a, top);
      top += Math.ceil(a.byteLength / 16) * 16;
    }
    return placed.get(a);
  }

  /* Room for b as panels, and for c: fill the panels, then call `times`. */
  function room(m, n, k) {
    const wide = width(n), count = k * (wide + 4);
    if (!vectors) return { panels: new Float32Array(count), c: new Float32Array(m * wide + 8), wide, count };
    grow(top + 4 * (count + m * wide + 8));
    const { buffer } = vectors.memory;
    return { panels: new Float32Array(buffer, top, count), c: new Float32Array(buffer, top + 4 * count, m * wide + 8), wide, count };
  }

  /* space.c (m, n), in rows of space.wide numbers, = a[aStart ...] (m, k) times the panels. `a` must be placed before. */
  function times(a, aStart, space, m, n, k) {
    for (let j = 0, at = 0; j < n; ) {
      const part = n - j > 4 ? 8 : 4;
      if (!vectors) scriptPanel(a, aStart, space.panels, at, space.c, j, m, k, space.wide, part);
      else vectors[part === 8 ? "panel8" : "panel4"](place(a) + 4 * aStart, top + 4 * at, top + 4 * (space.count + j), m, k, 4 * space.wide);
      at += part * k;
      j += part;
    }
  }

  function dot(a, start, b, k) {
    const f = Math.fround;
    let s0 = f(0), s1 = f(0), s2 = f(0), s3 = f(0), p = 0, r = start;
    for (; p + 4 <= k; p += 4, r += 4) {
      s0 = f(s0 + f(a[r] * b[p])); s1 = f(s1 + f(a[r + 1] * b[p + 1]));
      s2 = f(s2 + f(a[r + 2] * b[p + 2])); s3 = f(s3 + f(a[r + 3] * b[p + 3]));
    }
    for (; p < k; p++) s0 = f(s0 + f(a[r++] * b[p]));
    return s0 + s1 + (s2 + s3);
  }

  /* The pixels under a kernel, (channels kh kw, oh ow), as panels. */
  function columns(x, xStart, channels, [h, w], [oh, ow], o, panels) {
    const [kh, kw] = o.kernel, [sh, sw] = o.stride, [ph, pw] = o.padding, [dh, dw] = o.dilation;
    const n = oh * ow, k = channels * kh * kw, whole = n - (n % 8), narrow = n - whole > 4 || n === whole ? n : whole;
    for (let c = 0, row = 0; c < channels; c++)
      for (let i = 0; i < kh; i++)
        for (let j = 0; j < kw; j++, row++)
          for (let y = 0; y < oh; y++) {
            const source = y * sh - ph + i * dh, line = xStart + (c * h + source) * w, there = source >= 0 && source < h;
            for (let z = 0, s = j * dw - pw, out = y * ow; z < ow; z++, s += sw, out++) {
              const panel = out & ~7, at = panel * k + (panel < narrow ? row * 8 : row * 4) + (out & 7);
              panels[at] = there && s >= 0 && s < w ? x[line + s] : 0;
            }
          }
  }

  /* The sum of columns as pixels. */
  function spread(space, x, xStart, channels, [h, w], [oh, ow], o) {
    const [kh, kw] = o.kernel, [sh, sw] = o.stride, [ph, pw] = o.padding, [dh, dw] = o.dilation, c = space.c;
    for (let channel = 0, row = 0; channel < channels; channel++)
      for (let i = 0; i < kh; i++)
        for (let j = 0; j < kw; j++, row++)
          for (let y = 0; y < oh; y++) {
            const target = y * sh - ph + i * dh;
            if (target < 0 || target >= h) continue;
            const line = xStart + (channel * h + target) * w, from = row * space.wide + y * ow;
            for (let z = 0, s = j * dw - pw; z < ow; z++, s += sw) if (s >= 0 && s < w) x[line + s] += c[from + z];
          }
  }

  function conv([x, weight, bias], o) {
    const [, channels, h, w] = x.shape, g = o.groups, outputs = weight.shape[0] / g, inputs = channels / g;
    const [oh, ow] = [0, 1].map((i) =>
      Math.floor((x.shape[2 + i] + 2 * o.padding[i] - o.dilation[i] * (o.kernel[i] - 1) - 1) / o.stride[i]) + 1);
    const k = inputs * o.kernel[0] * o.kernel[1], n = oh * ow, y = value([1, outputs * g, oh, ow]);
    const plain = k === inputs && o.stride[0] === 1 && o.stride[1] === 1 && !o.padding[0] && !o.padding[1];
    if (vectors) place(weight.data);
    const space = room(outputs, n, k);
    for (let i = 0; i < g; i++) {
      if (plain) pack(x.data.subarray(i * inputs * n, (i + 1) * inputs * n), n, k, space.panels);
      else columns(x.data, i * inputs * h * w, inputs, [h, w], [oh, ow], o, space.panels);
      times(weight.data, i * outputs * k, space, outputs, n, k);
      for (let m = 0, out = i * outputs * n; m < outputs; m++) {
        const shift = bias ? bias.data[i * outputs + m] : 0;
        for (let from = m * space.wide, end = from + n; from < end; ) y.data[out++] = space.c[from++] + shift;
      }
    }
    return y;
  }

  /* The weights are (groups, o kh kw, i): a product makes the columns, whose sum is the picture. */
  function convTranspose([x, weight, bias], o) {
    const [, channels, h, w] = x.shape, g = o.groups, rows = weight.shape[1], inputs = channels / g;
    const outputs = rows / (o.kernel[0] * o.kernel[1]), [oh, ow] = [0, 1].map((i) =>
      (x.shape[2 + i] - 1) * o.stride[i] - 2 * o.padding[i] + o.dilation[i] * (o.kernel[i] - 1) + 1 + o.extra[i]);
    const y = value([1, outputs * g, oh, ow]), n = h * w;
    if (vectors) place(weight.data);
    const space = room(rows, n, inputs);
    for (let i = 0; i < g; i++) {
      pack(x.data.subarray(i * inputs * n, (i + 1) * inputs * n), n, inputs, space.panels);
      times(weight.data, i * rows * inputs, space, rows, n, inputs);
      spread(space, y.data, i * outputs * oh * ow, outputs, [oh, ow], [h, w], o);
    }
    if (bias) perChannel(y, y, (v, c) => v + bias.data[c]);
    return y;
  }

  function linear([x, weight, bias]) {
    const [m, k] = weight.shape, y = value([...x.shape.slice(0, -1), m]), n = x.data.length / k;
    for (let row = 0; row < n; row++) {
      const part = n === 1 ? x.data : x.data.subarray(row * k, (row + 1) * k);
      for (let i = 0; i < m; i++) y.data[row * m + i] = dot(weight.data, i * k, part, k) + (bias ? bias.data[i] : 0);
    }
    return y;
  }

  function perChannel(x, y, f) {
    const channels = x.shape[1], area = x.data.length / channels;
    for (let c = 0, i = 0; c < channels; c++) for (let end = i + area; i < end; i++) y.data[i] = f(x.data[i], c);
    return y;
  }

  function norm([x, gain, shift], o) {
    const channels = x.shape[1], area = x.data.length / channels, y = value(x.shape);
    for (let c = 0; c < channels; c++) {
      let mean = 0, variance = 0;
      const start = c * area, end = start + area;
      for (let i = start; i < end; i++) mean += x.data[i];
      mean /= area;
      for (let i = start; i < end; i++) variance += (x.data[i] - mean) ** 2;
      const scale = (gain ? gain.data[c] : 1) / Math.sqrt(variance / area + o.eps), offset = shift ? shift.data[c] : 0;
      for (let i = start; i < end; i++) y.data[i] = (x.data[i] - mean) * scale + offset;
    }
    return y;
  }

  const each = (f) => ([x], o) => {
    const y = value(x.shape);
    for (let i = 0; i < y.data.length; i++) y.data[i] = f(x.data[i], o);
    return y;
  };

  function relu([x], { slope = 0 }) {
    const y = value(x.shape);
    for (let i = 0; i < y.data.length; i++) y.data[i] = x.data[i] > 0 ? x.data[i] : slope * x.data[i];
    return y;
  }

  /* Two values, or three, whose shapes are aligned at their ends; a side of 1 is repeated. */
  function together(inputs, f) {
    const rank = Math.max(...inputs.map((x) => x.shape.length));
    const shape = Array.from({ length: rank }, (_, d) =>
      Math.max(...inputs.map((x) => x.shape[d - rank + x.shape.length] || 1)));
    const y = value(shape), n = y.data.length;
    const [first, second] = inputs, axis = 1 - rank + second.shape.length; // the channels, in the second one's shape
    if (inputs.length === 2 && rank > 2 && first.data.length === n && axis >= 0 && second.data.length === shape[1] && second.shape[axis] === shape[1]) {
      return perChannel({ shape, data: first.data }, y, (v, c) => f(v, second.data[c]));
    }
    if (inputs.every((x) => x.data.length === n || x.data.length === 1)) {
      const [a, b, c] = inputs.map((x) => [x.data, x.data.length === 1 ? 0 : 1]);
      for (let i = 0; i < n; i++) y.data[i] = f(a[0][i * a[1]], b[0][i * b[1]], c && c[0][i * c[1]]);
      return y;
    }
    const steps = inputs.map((x) => strides(x.shape, rank)), at = inputs.map(() => 0), place = new Array(rank).fill(0);
    for (let i = 0; i < n; i++) {
      y.data[i] = f(inputs[0].data[at[0]], inputs[1].data[at[1]], inputs[2] && inputs[2].data[at[2]]);
      for (let d = rank - 1; d >= 0; d--) {
        for (let k = 0; k < at.length; k++) at[k] += steps[k][d];
        if (++place[d] < shape[d]) break;
        place[d] = 0;
        for (let k = 0; k < at.length; k++) at[k] -= steps[k][d] * shape[d];
      }
    }
    return y;
  }

  function strides(shape, rank) {
    const steps = new Array(rank).fill(0);
    for (let d = shape.length - 1, step = 1; d >= 0; step *= shape[d], d--)
      if (shape[d] > 1) steps[rank - shape.length + d] = step;
    return steps;
  }

  /* A value around one axis: what is before it, its length, and how far one step along it is. */
  const around = (shape, dim) => [size(shape.slice(0, dim)), shape[dim], size(shape.slice(dim + 1))];

  function cat(inputs, o) {
    const shape = [...inputs[0].shape];
    shape[o.dim] = inputs.reduce((sum, x) => sum + x.shape[o.dim], 0);
    const y = value(shape), outer = around(shape, o.dim)[0], whole = y.data.length / outer;
    let start = 0;
    for (const x of inputs) {
      const part = x.data.length / outer;
      for (let i = 0; i < outer; i++) y.data.set(x.data.subarray(i * part, (i + 1) * part), i * whole + start);
      start += part;
    }
    return y;
  }

  function slice([x], o, traced) {
    const shape = [...x.shape], [outer, length, inner] = around(shape, o.dim);
    shape[o.dim] = traced[o.dim];
    const y = value(shape), part = shape[o.dim] * inner;
    for (let i = 0; i < outer; i++) {
      const from = (i * length + o.start) * inner;
      y.data.set(x.data.subarray(from, from + part), i * part);
    }
    return y;
  }

  function sliceScatter([x, source], o) {
    const y = value(x.shape, x.data.slice()), [outer, length, inner] = around(x.shape, o.dim);
    const part = source.shape[o.dim] * inner;
    for (let i = 0; i < outer; i++)
      y.data.set(source.data.subarray(i * part, (i + 1) * part), (i * length + o.start) * inner);
    return y;
  }

  function permute([x], o) {
    const shape = o.order.map((d) => x.shape[d]), own = strides(x.shape, x.shape.length);
    return gather(x, shape, o.order.map((d) => own[d]));
  }

  /* Reads a value in another order: one step along axis d of the result is steps[d] numbers. */
  function gather(x, shape, steps) {
    const y = value(shape), place = new Array(shape.length).fill(0);
    for (let i = 0, at = 0; i < y.data.length; i++) {
      y.data[i] = x.data[at];
      for (let d = shape.length - 1; d >= 0; d--) {
        at += steps[d];
        if (++place[d] < shape[d]) break;
        place[d] = 0;
        at -= steps[d] * shape[d];
      }
    }
    return y;
  }

  /* A picture whose pixel (y, x) of channel c is pick(c, y, x). */
  function picture(channels, h, w, pick) {
    const y = value([1, channels, h, w]);
    for (let c = 0, i = 0; c < channels; c++) for (let r = 0; r < h; r++) for (let s = 0; s < w; s++) y.data[i++] = pick(c, r, s);
    return y;
  }

  const inside = {
    constant: (i, n) => (i < 0 || i >= n ? -1 : i),
    replicate: (i, n) => Math.min(n - 1, Math.max(0, i)),
    reflect: (i, n) => (i < 0 ? -i : i >= n ? 2 * n - 2 - i : i),
  };

  function pad([x], o) {
    const [, channels, h, w] = x.shape, [top, left, bottom, right] = o.sides, map = inside[o.mode];
    return picture(channels, h + top + bottom, w + left + right, (c, r, s) => {
      const i = map(r - top, h), j = map(s - left, w);
      return i < 0 || j < 0 ? o.value : x.data[(c * h + i) * w + j];
    });
  }

  const enlarged = (x, o) => (o.scale ? [x.shape[2] * o.scale[0], x.shape[3] * o.scale[1]] : o.size);

  function nearest([x], o) {
    const [, channels, h, w] = x.shape, [oh, ow] = enlarged(x, o);
    const rows = Int32Array.from({ length: oh }, (_, i) => Math.floor((i * h) / oh));
    const places = Int32Array.from({ length: ow }, (_, j) => Math.floor((j * w) / ow));
    return picture(channels, oh, ow, (c, r, s) => x.data[(c * h + rows[r]) * w + places[s]]);
  }

  function bilinear([x], o) {
    const [, channels, h, w] = x.shape, [oh, ow] = enlarged(x, o);
    const between = (i, n, on) => {
      const at = Math.max(0, ((i + 0.5) * n) / on - 0.5), low = Math.min(n - 1, Math.floor(at));
      return [low, Math.min(n - 1, low + 1), at - low];
    };
    return picture(channels, oh, ow, (c, r, s) => {
      const [i0, i1, v] = between(r, h, oh), [j0, j1, u] = between(s, w, ow), p = c * h;
      const upper = x.data[(p + i0) * w + j0] * (1 - u) + x.data[(p + i0) * w + j1] * u;
      const lower = x.data[(p + i1) * w + j0] * (1 - u) + x.data[(p + i1) * w + j1] * u;
      return upper * (1 - v) + lower * v;
    });
  }

  function pixelShuffle([x], { factor: r }) {
    const [, channels, h, w] = x.shape;
    return picture(channels / (r * r), h * r, w * r, (c, i, j) =>
      x.data[((c * r * r + (i % r) * r + (j % r)) * h + Math.floor(i / r)) * w + Math.floor(j / r)]);
  }

  function averagePool([x], { window: [a, b] }) {
    const [, channels, h, w] = x.shape;
    return picture(channels, h / a, w / b, (c, i, j) => {
      let sum = 0;
      for (let r = 0; r < a; r++) for (let s = 0; s < b; s++) sum += x.data[(c * h + i * a + r) * w + j * b + s];
      return sum / (a * b);
    });
  }

  /* The largest pixel of each window; with `ceil` the border may cut off the last ones. */
  function maxPool([x], { window: [a, b], ceil }) {
    const [, channels, h, w] = x.shape, sides = ceil ? Math.ceil : Math.floor;
    return picture(channels, sides(h / a), sides(w / b), (c, i, j) => {
      let most = -Infinity;
      for (let r = i * a; r < Math.min(h, i * a + a); r++)
        for (let s = j * b; s < Math.min(w, j * b + b); s++) most = Math.max(most, x.data[(c * h + r) * w + s]);
      return most;
    });
  }

  /* (1, m, k) times (1, k, n). The first is no weight: its room in the memory of WebAssembly is given back. */
  function matmul([x, z]) {
    const [, m, k] = x.shape, n = z.shape[2], y = value([1, m, n]), before = top, held = placed.has(x.data);
    if (vectors) place(x.data);
    const space = room(m, n, k);
    pack(z.data, n, k, space.panels);
    times(x.data, 0, space, m, n, k);
    for (let row = 0; row < m; row++) y.data.set(space.c.subarray(row * space.wide, row * space.wide + n), row * n);
    if (!held) {
      placed.delete(x.data);
      top = before;
    }
    return y;
  }

  /* Parts that sum to 1 along an axis. */
  function softmax([x], { dim }) {
    const y = value(x.shape), [outer, length, inner] = around(x.shape, dim);
    for (let i = 0; i < outer; i++)
      for (let j = 0; j < inner; j++) {
        const start = i * length * inner + j, end = start + length * inner;
        let most = -Infinity, sum = 0;
        for (let at = start; at < end; at += inner) most = Math.max(most, x.data[at]);
        for (let at = start; at < end; at += inner) sum += y.data[at] = Math.exp(x.data[at] - most);
        for (let at = start; at < end; at += inner) y.data[at] /= sum;
      }
    return y;
  }

  function mean([x], o, traced) {
    const kept = x.shape.map((_, d) => d).filter((d) => !o.axes.includes(d)), order = [...kept, ...o.axes];
    const sorted = permute([x], { order }), count = size(o.axes.map((d) => x.shape[d])), y = value(traced);
    for (let i = 0; i < y.data.length; i++) {
      let sum = 0;
      for (let j = i * count; j < (i + 1) * count; j++) sum += sorted.data[j];
      y.data[i] = sum / count;
    }
    return y;
  }

  function add(inputs) {
    const [{ data: a, shape }, { data: b }] = inputs;
    if (a.length !== b.length) return together(inputs, (v, w) => v + w);
    const y = value(shape);
    for (let i = 0; i < a.length; i++) y.data[i] = a[i] + b[i];
    return y;
  }

  const softplus = (v) => (v > 20 ? v : Math.log1p(Math.exp(v))), sigmoid = (v) => 1 / (1 + Math.exp(-v));
  const two = (f) => (inputs) => together(inputs, f);
  const kernels = {
    conv, conv_transpose: convTranspose, linear, norm, cat, slice, slice_scatter: sliceScatter, permute, pad, nearest,
    bilinear, pixel_shuffle: pixelShuffle, avg_pool: averagePool, max_pool: maxPool, matmul, softmax, mean,
    affine: ([x, gain, shift]) => perChannel(x, value(x.shape), (v, c) => v * gain.data[c] + shift.data[c]),
    prelu: ([x, slope]) => perChannel(x, value(x.shape), (v, c) => (v > 0 ? v : v * slope.data[slope.data.length > 1 ? c : 0])),
    view: ([x], o, traced) => value(traced, x.data),
    expand: ([x], o, traced) => gather(x, traced, strides(x.shape, traced.length)),
    where: (inputs) => together(inputs, (c, a, b) => (c ? a : b)),
    relu, leaky_relu: relu,
    clamp: each((v, o) => Math.min(o.high ?? Infinity, Math.max(o.low ?? -Infinity, v))),
    tanh: each(Math.tanh), sigmoid: each(sigmoid), elu: each((v) => (v > 0 ? v : Math.expm1(v))),
    silu: each((v) => v * sigmoid(v)), softplus: each(softplus), abs: each(Math.abs), exp: each(Math.exp),
    neg: each((v) => -v), square: each((v) => v * v), sqrt: each(Math.sqrt), rsqrt: each((v) => 1 / Math.sqrt(v)),
    add, sub: two((a, b) => a - b), mul: two((a, b) => a * b), div: two((a, b) => a / b),
    eq: two((a, b) => +(a === b)), gt: two((a, b) => +(a > b)), ge: two((a, b) => +(a >= b)),
    lt: two((a, b) => +(a < b)), le: two((a, b) => +(a <= b)), or: two((a, b) => Math.max(a, b)),
  };

  /* Numbers from base64: float32, int8, or float16 (1 bit sign, 5 exponent, 10 fraction), little-endian. */
  function decode(text, kind) {
    const letters = atob(text), bytes = new Uint8Array(letters.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = letters.charCodeAt(i);
    if (kind === "float32") return new Float32Array(bytes.buffer);
    if (kind === "int8") return new Int8Array(bytes.buffer);
    const half = new Uint16Array(bytes.buffer), table = new Float32Array(65536), seen = new Uint8Array(65536);
    const x = new Float32Array(half.length);
    for (let i = 0; i < x.length; i++) {
      const h = half[i];
      if (!seen[h]) {
        const sign = h & 0x8000 ? -1 : 1, e = (h >> 10) & 31, m = h & 1023;
        table[h] = sign * (e ? 2 ** (e - 15) * (1 + m / 1024) : 2 ** -14 * (m / 1024));
        seen[h] = 1;
      }
      x[i] = table[h];
    }
    return x;
  }

  /* Weights of 8 bits, each channel times its scale. */
  function scaled(bytes, scales, n) {
    const x = new Float32Array(n), length = n / scales.length;
    for (let i = 0; i < n; i++) x[i] = bytes[i] * scales[Math.floor(i / length)];
    return x;
  }

  /* A network: `graph` as the page holds it, `numbers` all its constants behind one another; those with a scale for each
     channel are among the `bytes`. */
  class Network {
    constructor(graph, numbers, bytes, scales) {
      this.graph = graph;
      this.constants = graph.constants.map(([id, shape, start, first, channels]) => {
        const n = size(shape);
        if (!channels) return [id, value(shape, numbers.subarray(start, start + n))];
        return [id, value(shape, scaled(bytes.subarray(start, start + n), scales.subarray(first, first + channels), n))];
      });
      this.last = new Map(); // value -> the operator that reads it last
      graph.operators.forEach(({ inputs }, place) => inputs.forEach((id) => this.last.set(id, place)));
    }

    /* Values in the order of the network's inputs -> the value it makes. */
    run(inputs) {
      const values = new Map(this.constants);
      inputs.forEach((x, id) => values.set(id, x));
      this.graph.operators.forEach((op, place) => {
        const made = kernels[op.kind](op.inputs.map((id) => values.get(id)), op.options, op.shape);
        values.set(op.output, made);
        for (const id of op.inputs) if (this.last.get(id) === place) values.delete(id);
      });
      return values.get(this.graph.output);
    }
  }

  /* The network that a page holds as `part`. */
  function load(part) {
    const small = part.kind === "int8";
    return new Network(part.graph, decode(part.numbers, small ? "float16" : part.kind), decode(part.bytes || "", "int8"), decode(part.scales || "", "float32"));
  }

  return { Network, decode, load, value, kernels };
})();
