/* The arithmetic of the laboratory: two small networks that play a GAN on points of the plane, in double precision.

   Nothing here touches the page. `GanLab.OBJECTIVES` has a loss for every name, with the derivatives by the scores
   written out; `Trainer.iterate` makes one iteration as the model of the same name in ganarium does, update by update.
   A test in a real browser holds the loss terms to those of ganarium. Layouts: points are (n, 2) in one Float64Array, row
   after row, and a weight is (inputs, outputs).

   A gradient penalty needs the gradient of a gradient. A network of ReLU layers is linear around every point, so the
   gradient by the input is a product of weights with masks, and the derivative of g . v by a weight is
   delta (x) (v carried forward through the same masks): one more forward pass, no graph. */
"use strict";
const GanLab = (() => {
  // ---- chance ---------------------------------------------------------------------------------------------------

  /** Random numbers from a seed, by the generator sfc32. */
  class Random {
    constructor(seed) {
      let a = 0x9e3779b9 ^ seed, b = 0x243f6a88 + seed, c = 0xb7e15162, d = 1;
      this.next = () => {
        const t = (((a + b) | 0) + d) | 0;
        d = (d + 1) | 0;
        a = b ^ (b >>> 9);
        b = (c + (c << 3)) | 0;
        c = (c << 21) | (c >>> 11);
        c = (c + t) | 0;
        return (t >>> 0) / 4294967296;
      };
      for (let i = 0; i < 20; i++) this.next();
      this.spare = null;
    }
    normal() {
      if (this.spare !== null) {
        const kept = this.spare;
        this.spare = null;
        return kept;
      }
      const radius = Math.sqrt(-2 * Math.log(1 - this.next())), angle = 2 * Math.PI * this.next();
      this.spare = radius * Math.sin(angle);
      return radius * Math.cos(angle);
    }
    normals(count) {
      return Float64Array.from({ length: count }, () => this.normal());
    }
    uniforms(count) {
      return Float64Array.from({ length: count }, () => this.next());
    }
  }

  // ---- networks -------------------------------------------------------------------------------------------------

  /** Linear layers with ReLU between them: `sizes` = [inputs, hidden ..., outputs]. */
  class Net {
    constructor(sizes, random) {
      this.sizes = sizes;
      this.layers = [];
      for (let l = 0; l + 1 < sizes.length; l++) {
        const fanIn = sizes[l], fanOut = sizes[l + 1], bound = 1 / Math.sqrt(fanIn); // PyTorch's start
        const draw = () => (2 * random.next() - 1) * bound;
        this.layers.push({
          W: Float64Array.from({ length: fanIn * fanOut }, draw),
          b: Float64Array.from({ length: fanOut }, draw),
          gW: new Float64Array(fanIn * fanOut),
          gb: new Float64Array(fanOut),
        });
      }
    }

    parameters() {
      return this.layers.flatMap((layer) => [[layer.W, layer.gW], [layer.b, layer.gb]]);
    }

    clearGradients() {
      for (const layer of this.layers) {
        layer.gW.fill(0);
        layer.gb.fill(0);
      }
    }

    /** (n, inputs) -> the values behind every layer, the first of them x itself. */
    forward(x, n) {
      const values = [x];
      for (let l = 0; l < this.layers.length; l++) {
        const output = new Float64Array(n * this.sizes[l + 1]), { b } = this.layers[l];
        for (let at = 0; at < output.length; at += b.length) output.set(b, at);
        this.addProduct(l, values[l], output, n);
        if (l + 1 < this.layers.length) for (let at = 0; at < output.length; at++) if (!(output[at] > 0)) output[at] = 0;
        values.push(output);
      }
      return values;
    }

    /** output (n, O) += x (n, I) W. Half of what a ReLU gives is 0, and skipped. */
    addProduct(l, x, output, n) {
      const I = this.sizes[l], O = this.sizes[l + 1], { W } = this.layers[l];
      for (let s = 0; s < n; s++)
        for (let i = 0; i < I; i++) {
          const value = x[s * I + i];
          if (value !== 0) for (let o = s * O, w = i * O, end = w + O; w < end; o++, w++) output[o] += value * W[w];
        }
    }

    /** gW += x (n, I), transposed, times delta (n, O). */
    addOuter(l, x, delta, n) {
      const I = this.sizes[l], O = this.sizes[l + 1], { gW } = this.layers[l];
      for (let s = 0; s < n; s++)
        for (let i = 0; i < I; i++) {
          const value = x[s * I + i];
          if (value !== 0) for (let o = s * O, w = i * O, end = w + O; w < end; o++, w++) gW[w] += value * delta[o];
        }
    }

    /** Adds the gradients by the weights, for the gradient `delta` by the output; gives that by the input. */
    backward(values, delta, n, { weights = true, input = true } = {}) {
      for (let l = this.layers.length - 1; l >= 0; l--) {
        if (weights) {
          const { gb } = this.layers[l], O = gb.length;
          for (let at = 0; at < delta.length; at += O) for (let o = 0; o < O; o++) gb[o] += delta[at + o];
          this.addOuter(l, values[l], delta, n);
        }
        if (l > 0 || input) delta = this.throughLayer(l, values, delta, n);
      }
      return input ? delta : null;
    }

    /** The gradient by what goes into a layer, masked by the ReLU before it. */
    throughLayer(l, values, delta, n) {
      const I = this.sizes[l], O = this.sizes[l + 1], { W } = this.layers[l], x = values[l], before = new Float64Array(n * I);
      for (let s = 0; s < n; s++)
        for (let i = 0, at = s * I; i < I; i++, at++) {
          if (l > 0 && !(x[at] > 0)) continue;
          let even = 0, odd = 0, o = s * O, w = i * O; // two sums, since an addition waits for the one before it
          const end = w + O;
          for (; w + 1 < end; o += 2, w += 2) {
            even += delta[o] * W[w];
            odd += delta[o + 1] * W[w + 1];
          }
          before[at] = w < end ? even + odd + delta[o] * W[w] : even + odd;
        }
      return before;
    }

    /** Of a network with one output: its gradient by the input (n, inputs), and the deltas on the way. */
    inputGradient(values, n) {
      const deltas = [];
      let delta = new Float64Array(n).fill(1);
      for (let l = this.layers.length - 1; l >= 0; l--) {
        deltas[l] = delta;
        delta = this.throughLayer(l, values, delta, n);
      }
      return { gradient: delta, deltas };
    }

    /** Adds the derivative of sum(gradient * v) by the weights, v (n, inputs): see the head of this file. */
    penaltyBackward(values, deltas, v, n) {
      let tangent = v;
      for (let l = 0; l < this.layers.length; l++) {
        this.addOuter(l, tangent, deltas[l], n);
        if (l + 1 === this.layers.length) return;
        const next = new Float64Array(n * this.sizes[l + 1]), output = values[l + 1];
        this.addProduct(l, tangent, next, n);
        for (let at = 0; at < next.length; at++) if (!(output[at] > 0)) next[at] = 0;
        tangent = next;
      }
    }
  }

  /** A discriminator with one number for each point. */
  class Scorer {
    constructor(hidden, random) {
      this.net = new Net([2, ...hidden, 1], random);
      this.nets = [this.net];
    }
    forward(x, n) {
      const values = this.net.forward(x, n);
      return { values, n, score: values[values.length - 1] };
    }
    backward(pass, delta, ask) {
      return this.net.backward(pass.values, delta, pass.n, ask);
    }
  }

  /** EBGAN's discriminator: an encoder and a decoder, whose error E(x) = mean |x - D(x)|^2 is the number of a point. */
  class AutoEncoder {
    constructor(hidden, random, code = 32) {
      this.encoder = new Net([2, ...hidden, code], random);
      this.decoder = new Net([code, ...hidden, 2], random);
      this.nets = [this.encoder, this.decoder];
    }
    forward(x, n) {
      const encoded = this.encoder.forward(x, n), decoded = this.decoder.forward(encoded[encoded.length - 1], n);
      const rebuilt = decoded[decoded.length - 1], score = new Float64Array(n);
      for (let s = 0; s < n; s++)
        score[s] = ((x[2 * s] - rebuilt[2 * s]) ** 2 + (x[2 * s + 1] - rebuilt[2 * s + 1]) ** 2) / 2;
      return { x, encoded, decoded, rebuilt, n, score };
    }
    backward(pass, delta, ask = {}) {
      const error = new Float64Array(2 * pass.n);
      for (let at = 0; at < error.length; at++) error[at] = delta[at >> 1] * (pass.rebuilt[at] - pass.x[at]);
      const code = this.decoder.backward(pass.decoded, error, pass.n, { ...ask, input: true });
      const through = this.encoder.backward(pass.encoded, code, pass.n, ask);
      return through && through.map((value, at) => value - error[at]);
    }
  }

  // ---- optimisers, as PyTorch has them --------------------------------------------------------------------------

  class Adam {
    constructor(parameters, [beta1, beta2]) {
      this.beta1 = beta1;
      this.beta2 = beta2;
      this.count = 0;
      this.slots = parameters.map(([p, g]) => ({ p, g, m: new Float64Array(p.length), v: new Float64Array(p.length) }));
    }
    step(lr) {
      const { beta1, beta2 } = this, count = ++this.count;
      const rate = lr / (1 - beta1 ** count), root = Math.sqrt(1 - beta2 ** count);
      for (const { p, g, m, v } of this.slots)
        for (let i = 0; i < p.length; i++) {
          m[i] += (1 - beta1) * (g[i] - m[i]);
          v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
          p[i] -= (rate * m[i]) / (Math.sqrt(v[i]) / root + 1e-8);
        }
    }
  }

  class RMSProp {
    constructor(parameters) {
      this.slots = parameters.map(([p, g]) => ({ p, g, v: new Float64Array(p.length) }));
    }
    step(lr) {
      for (const { p, g, v } of this.slots)
        for (let i = 0; i < p.length; i++) {
          v[i] = 0.99 * v[i] + 0.01 * g[i] * g[i];
          p[i] -= (lr * g[i]) / (Math.sqrt(v[i]) + 1e-8);
        }
    }
  }

  // ---- functions of a score, each with its derivative -----------------------------------------------------------

  const softplus = (x) => (x > 20 ? x : Math.log1p(Math.exp(x)));
  const sigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
  const mean = (a) => a.reduce((sum, value) => sum + value, 0) / a.length;
  /** The mean of f over the scores, and its gradient. */
  const averaged = (scores, f, slope) => [mean(scores.map(f)), scores.map((s) => slope(s) / scores.length)];

  const asReal = (scores) => averaged(scores, (s) => softplus(-s), (s) => -sigmoid(-s));
  const asFake = (scores) => averaged(scores, softplus, sigmoid);
  const halfSquares = (scores, target) => averaged(scores, (s) => 0.5 * (s - target) ** 2, (s) => s - target);
  const plain = (scores, sign) => averaged(scores, (s) => sign * s, () => sign);

  /** exp, and its tangent above 20. */
  const exp = (x) => (x > 20 ? Math.exp(20) * (1 + x - 20) : Math.exp(x));
  const expSlope = (x) => Math.exp(Math.min(x, 20));

  /** log W(e^y) by Newton's method, and its derivative. */
  function logLambert(y) {
    let a = y > 1 ? Math.log(y) : y;
    for (let i = 0; i < 6; i++) a -= (Math.exp(a) + a - y) / (Math.exp(a) + 1);
    return [a - (Math.exp(a) + a - y) / (Math.exp(a) + 1), 1 / (Math.exp(a) + 1)];
  }

  /** For each divergence g_f, its slope, f*(g_f(v)), its slope. */
  const LN2 = Math.log(2), tanhSlope = (v) => (1 - Math.tanh(v) ** 2) / 2;
  const DIVERGENCES = {
    kl: [(v) => v, () => 1, (v) => exp(v - 1), (v) => expSlope(v - 1)],
    reverse_kl: [(v) => -exp(-v), (v) => expSlope(-v), (v) => v - 1, () => 1],
    pearson: [(v) => v, () => 1, (v) => Math.max(0, 1 + v / 2) ** 2 - 1, (v) => Math.max(0, 1 + v / 2)],
    neyman: [(v) => 1 - exp(-v), (v) => expSlope(-v), (v) => 2 - 2 * exp(-v / 2), (v) => expSlope(-v / 2)],
    hellinger: [(v) => 1 - exp(-v), (v) => expSlope(-v), (v) => exp(v) - 1, (v) => expSlope(v)],
    jeffrey: [
      (v) => v,
      () => 1,
      (v) => {
        const [a] = logLambert(1 - v);
        return exp(-a) - a - 1;
      },
      (v) => {
        const [a, slope] = logLambert(1 - v);
        return (expSlope(-a) + 1) * slope;
      },
    ],
    js: [(v) => LN2 - softplus(-v), (v) => sigmoid(-v), (v) => softplus(v) - LN2, sigmoid],
    gan: [(v) => -softplus(-v), (v) => sigmoid(-v), softplus, sigmoid],
    total_variation: [(v) => Math.tanh(v) / 2, tanhSlope, (v) => Math.tanh(v) / 2, tanhSlope],
  };

  /** For each relativistic loss h of a difference that its player wants to be large, and its slope. */
  const RELATIVE = {
    logistic: [(t) => softplus(-t), (t) => -sigmoid(-t)],
    squares: [(t) => (t - 1) ** 2, (t) => 2 * (t - 1)],
    hinge: [(t) => Math.max(0, 1 - t), (t) => (t < 1 ? -1 : 0)],
  };

  /** The player's loss who wants `high` above `low` in pairs: value, gradients by high and by low. */
  function inPairs(high, low, [h, slope]) {
    const n = high.length, slopes = high.map((value, i) => slope(value - low[i]) / n);
    return [mean(high.map((value, i) => h(value - low[i]))), slopes, slopes.map((s) => -s)];
  }

  /** The same with each score against the mean of the others: two values, gradients of their sum. */
  function againstMeans(high, low, [h, slope]) {
    const n = high.length, meanHigh = mean(high), meanLow = mean(low);
    const forHigh = high.map((s) => slope(s - meanLow) / n), forLow = low.map((s) => slope(meanHigh - s) / n);
    const sumHigh = n * mean(forHigh), sumLow = n * mean(forLow);
    return [
      mean(high.map((s) => h(s - meanLow))),
      mean(low.map((s) => h(meanHigh - s))),
      forHigh.map((s) => s + sumLow / n),
      forLow.map((s) => -s - sumHigh / n),
    ];
  }

  /** log of the sum of exp over both, and the two parts of the softmax. */
  function logSumExp(a, b) {
    const top = Math.max(...a, ...b), ea = a.map((s) => Math.exp(s - top)), eb = b.map((s) => Math.exp(s - top));
    const sum = ea.length * mean(ea) + eb.length * mean(eb);
    return [top + Math.log(sum), ea.map((e) => e / sum), eb.map((e) => e / sum)];
  }

  // ---- objectives -----------------------------------------------------------------------------------------------
  /* `D(real, fake, batch)` and `G(fake, real)` take scores and give {terms, byReal, byFake}: the named terms as in
     ganarium, and the gradients of their sum by the scores. `penalty` adds a term that depends on D's gradient. */

  const ADAM = { optimizer: "adam", betas: [0.5, 0.9], lr: 1e-3 };
  const crossEntropy = (real, fake) => {
    const [a, byReal] = asReal(real), [b, byFake] = asFake(fake);
    return { terms: { real: a, fake: b }, byReal, byFake };
  };
  const nonSaturating = (fake) => {
    const [value, byFake] = asReal(fake);
    return { terms: { adversarial: value }, byFake };
  };
  const wasserstein = (real, fake) => {
    const [a, byReal] = plain(real, -1), [b, byFake] = plain(fake, 1);
    return { terms: { wasserstein: a + b }, byReal, byFake };
  };
  const wassersteinG = (fake) => {
    const [value, byFake] = plain(fake, -1);
    return { terms: { wasserstein: value }, byFake };
  };
  const leastSquares = (a, b, c) => ({
    D: (real, fake) => {
      const [first, byReal] = halfSquares(real, b), [second, byFake] = halfSquares(fake, a);
      return { terms: { real: first, fake: second }, byReal, byFake };
    },
    G: (fake) => {
      const [value, byFake] = halfSquares(fake, c);
      return { terms: { adversarial: value }, byFake };
    },
  });
  const relativistic = (h, paired) => {
    const above = (high, low) => {
      if (paired) {
        const [value, byHigh, byLow] = inPairs(high, low, RELATIVE[h]);
        return { terms: { pairs: value }, byHigh, byLow };
      }
      const [a, b, byHigh, byLow] = againstMeans(high, low, RELATIVE[h]);
      return { terms: { high: a, low: b }, byHigh, byLow };
    };
    return {
      scoresRealsForG: true,
      D: (real, fake) => {
        const { terms, byHigh, byLow } = above(real, fake);
        return { terms, byReal: byHigh, byFake: byLow };
      },
      G: (fake, real) => {
        const { terms, byHigh } = above(fake, real);
        return { terms, byFake: byHigh };
      },
    };
  };
  const divergence = (name) => {
    const [g, gSlope, conjugate, conjugateSlope] = DIVERGENCES[name];
    return {
      D: (real, fake) => {
        const [a, byReal] = averaged(real, (v) => -g(v), (v) => -gSlope(v));
        const [b, byFake] = averaged(fake, conjugate, conjugateSlope);
        return { terms: { real: a, fake: b }, byReal, byFake };
      },
      G: (fake, _, settings) => {
        const practical = settings.loss === "practical", f = practical ? g : conjugate;
        const slope = practical ? gSlope : conjugateSlope;
        const [value, byFake] = averaged(fake, (v) => -f(v), (v) => -slope(v));
        return { terms: { adversarial: value }, byFake };
      },
    };
  };

  /* A row: its name, ganarium's model and the options that choose it there, the optimiser and rates that it starts with,
     the losses, and what of the settings it has: `turns` the option for D's updates, `numbers` further ones. */
  const OBJECTIVES = {
    gan: { name: "GAN, non-saturating", model: "gan", turns: "num_discriminator_steps", D: crossEntropy, G: nonSaturating },
    minimax: {
      name: "GAN, minimax", model: "gan", options: { loss: "minimax" }, turns: "num_discriminator_steps",
      D: crossEntropy,
      G: (fake) => {
        const [value, byFake] = asFake(fake);
        return { terms: { adversarial: -value }, byFake: byFake.map((s) => -s) };
      },
    },
    lsgan: { name: "LSGAN", model: "lsgan", ...leastSquares(0, 1, 1) },
    lsgan_pearson: { name: "LSGAN, targets -1, 1, 0", model: "lsgan", options: { coding: "pearson" }, ...leastSquares(-1, 1, 0) },
    wgan: {
      name: "WGAN, clipped weights", model: "wgan", turns: "num_critic_steps", steps: 5, optimizer: "rmsprop", lr: 5e-4,
      longTurns: "num_long_critic_steps", numbers: { clip: 0.05 }, clips: true, D: wasserstein, G: wassersteinG,
    },
    wgan_gp: {
      name: "WGAN-GP", model: "wgan_gp", turns: "num_critic_steps", steps: 5, betas: [0, 0.9],
      numbers: { penalty_weight: 0.1 }, penalty: "between", D: wasserstein, G: wassersteinG,
    },
    wgan_div: {
      name: "WGAN-div", model: "wgan_div", turns: "num_critic_steps", steps: 4,
      numbers: { penalty_weight: 2, penalty_power: 6 }, penalty: "power", D: wasserstein, G: wassersteinG,
    },
    dragan: {
      name: "DRAGAN", model: "dragan", numbers: { penalty_weight: 10, slope: 1, noise_scale: 0.5 }, penalty: "around",
      D: crossEntropy, G: nonSaturating,
    },
    rsgan: { name: "RSGAN, in pairs", model: "relativistic_gan", options: { loss: "rsgan" }, turns: "num_discriminator_steps", ...relativistic("logistic", true) },
    rasgan: { name: "RaSGAN", model: "relativistic_gan", options: { loss: "rasgan" }, turns: "num_discriminator_steps", ...relativistic("logistic", false) },
    ralsgan: { name: "RaLSGAN, squares", model: "relativistic_gan", options: { loss: "ralsgan" }, turns: "num_discriminator_steps", ...relativistic("squares", false) },
    rahinge: { name: "RaHingeGAN", model: "relativistic_gan", options: { loss: "rahinge" }, turns: "num_discriminator_steps", ...relativistic("hinge", false) },
    r3gan: {
      name: "R3GAN", model: null, numbers: { gamma: 1 }, penalty: "both", betas: [0, 0.9], freshReals: true,
      scoresRealsForG: true,
      D: (real, fake) => {
        const [value, byReal, byFake] = inPairs(real, fake, RELATIVE.logistic);
        return { terms: { adversarial: value }, byReal, byFake };
      },
      G: (fake, real) => {
        const [value, byFake] = inPairs(fake, real, RELATIVE.logistic);
        return { terms: { adversarial: value }, byFake };
      },
    },
    softmax_gan: {
      name: "Softmax GAN", model: "softmax_gan", scoresRealsForG: true,
      D: (real, fake) => {
        const [logZ, inReal, inFake] = logSumExp(real, fake);
        return {
          terms: { cross_entropy: logZ - mean(real) }, byReal: inReal.map((p) => p - 1 / real.length), byFake: inFake,
        };
      },
      G: (fake, real) => {
        const [logZ, , inFake] = logSumExp(real, fake), all = real.length + fake.length;
        const average = (real.length * mean(real) + fake.length * mean(fake)) / all;
        return { terms: { cross_entropy: logZ - average }, byFake: inFake.map((p) => p - 1 / all) };
      },
    },
    loss_sensitive_gan: {
      name: "Loss-Sensitive GAN", model: "loss_sensitive_gan", numbers: { margin_scale: 1, slope: 0 }, lowOnData: true,
      D: (real, fake, settings, batch) => {
        const n = real.length, byReal = new Float64Array(n), byFake = new Float64Array(n);
        let sum = 0;
        for (let s = 0; s < n; s++) {
          const distance =
            Math.abs(batch.real[2 * s] - batch.fake[2 * s]) + Math.abs(batch.real[2 * s + 1] - batch.fake[2 * s + 1]);
          const short = settings.margin_scale * distance + real[s] - fake[s], slope = short > 0 ? 1 : settings.slope;
          sum += slope * short;
          byReal[s] = slope / n;
          byFake[s] = -slope / n;
        }
        return { terms: { real: 0, margin: sum / n }, byReal, byFake };
      },
      G: (fake) => {
        const [value, byFake] = plain(fake, 1);
        return { terms: { loss: value }, byFake };
      },
    },
    ebgan: {
      name: "EBGAN, an auto-encoder as D", model: "ebgan", numbers: { margin: 0.2 }, lowOnData: true, autoEncoder: true,
      D: (real, fake, settings) => {
        const [a, byReal] = plain(real, 1);
        const [b, byFake] = averaged(fake, (s) => Math.max(0, settings.margin - s), (s) => (s < settings.margin ? -1 : 0));
        return { terms: { real: a, fake: b }, byReal, byFake };
      },
      G: (fake) => {
        const [value, byFake] = plain(fake, 1);
        return { terms: { energy: value }, byFake };
      },
    },
    bgan: {
      name: "BGAN, boundary seeking", model: "bgan", options: { form: "continuous" }, D: crossEntropy,
      G: (fake) => {
        const [value, byFake] = halfSquares(fake, 0);
        return { terms: { boundary: value }, byFake };
      },
    },
  };
  const DIVERGENCE_NAMES = {
    kl: "KL", reverse_kl: "reverse KL", pearson: "Pearson", neyman: "Neyman", hellinger: "squared Hellinger",
    jeffrey: "Jeffrey", js: "Jensen-Shannon", gan: "GAN's", total_variation: "total variation",
  };
  for (const [id, name] of Object.entries(DIVERGENCE_NAMES))
    OBJECTIVES[`f_gan_${id}`] = {
      name: `f-GAN, ${name}`, model: "f_gan", options: { divergence: id }, turns: "num_discriminator_steps",
      choices: { loss: ["divergence", "practical"] }, ...divergence(id),
    };
  for (const [id, objective] of Object.entries(OBJECTIVES))
    OBJECTIVES[id] = { id, options: {}, numbers: {}, choices: {}, turns: null, steps: 1, ...ADAM, ...objective };

  // ---- penalties on D's gradient --------------------------------------------------------------------------------

  /** Adds weight * mean of p(norm of D's gradient at x) to D's gradients; gives the term. p and its slope by the norm. */
  function penalise(D, x, weight, p, slope) {
    const n = x.length / 2, values = D.net.forward(x, n), { gradient, deltas } = D.net.inputGradient(values, n);
    const v = new Float64Array(2 * n);
    let sum = 0;
    for (let s = 0; s < n; s++) {
      const gx = gradient[2 * s], gy = gradient[2 * s + 1], norm = Math.sqrt(gx * gx + gy * gy);
      sum += p(norm);
      const scale = norm > 0 ? (weight * slope(norm)) / (norm * n) : 0;
      v[2 * s] = scale * gx;
      v[2 * s + 1] = scale * gy;
    }
    D.net.penaltyBackward(values, deltas, v, n);
    return (weight * sum) / n;
  }

  const square = (norm) => norm * norm, squareSlope = (norm) => 2 * norm;
  const PENALTIES = {
    between: (D, batch, settings, draws) => ({
      penalty: penalise(D, between(batch, draws), settings.penalty_weight, (norm) => (norm - 1) ** 2, (norm) => 2 * (norm - 1)),
    }),
    power: (D, batch, { penalty_weight, penalty_power }, draws) => ({
      penalty: penalise(
        D, between(batch, draws), penalty_weight, (norm) => norm ** penalty_power,
        (norm) => penalty_power * norm ** (penalty_power - 1),
      ),
    }),
    around: (D, batch, { penalty_weight, slope, noise_scale }, draws) => {
      const { real } = batch, centre = mean(real), size = noise_scale * Math.sqrt(mean(real.map((v) => (v - centre) ** 2)));
      const a = draws.uniforms(real.length / 2), u = draws.uniforms(real.length);
      const near = real.map((v, at) => v + a[at >> 1] * size * u[at]);
      return {
        penalty: penalise(D, near, penalty_weight, (norm) => (norm - slope) ** 2, (norm) => 2 * (norm - slope)),
      };
    },
    both: (D, batch, settings) => ({
      penalty_real: penalise(D, batch.real, settings.gamma / 2, square, squareSlope),
      penalty_fake: penalise(D, batch.fake, settings.gamma / 2, square, squareSlope),
    }),
  };

  /** Points on straight lines between reals and fakes, one e ~ U[0, 1] a line. */
  function between(batch, draws) {
    const e = draws.uniforms(batch.real.length / 2);
    return batch.real.map((value, at) => e[at >> 1] * value + (1 - e[at >> 1]) * batch.fake[at]);
  }

  // ---- training -------------------------------------------------------------------------------------------------

  /** The chances of a training: reals from `data(random)` -> [x, y], codes and mixing from the same seed. */
  class Draws {
    constructor(data, seed) {
      this.data = data;
      this.random = new Random(seed);
    }
    reals(n) {
      const points = new Float64Array(2 * n);
      for (let s = 0; s < n; s++) points.set(this.data(this.random), 2 * s);
      return points;
    }
    codes(n) {
      return this.random.normals(2 * n);
    }
    uniforms(count) {
      return this.random.uniforms(count);
    }
  }

  /** One objective in training. `settings`: batch, lrD, lrG, steps, hidden, and the objective's own numbers and choices. */
  class Trainer {
    constructor(objective, settings, draws, seed = 0) {
      const random = new Random(seed);
      this.objective = OBJECTIVES[objective];
      this.settings = { ...defaults(objective), ...settings };
      this.draws = draws;
      this.generator = new Net([2, ...this.settings.hidden, 2], random);
      this.D = this.objective.autoEncoder
        ? new AutoEncoder(this.settings.hidden, random)
        : new Scorer(this.settings.hidden, random);
      const rule = this.objective.optimizer === "rmsprop" ? RMSProp : Adam;
      const [ofD, ofG] = [this.D.nets, [this.generator]].map((nets) => nets.flatMap((net) => net.parameters()));
      this.moveD = new rule(ofD, this.objective.betas);
      this.moveG = new rule(ofG, this.objective.betas);
      this.iteration = this.updates = 0;
    }

    generate(codes) {
      const n = codes.length / 2, values = this.generator.forward(codes, n);
      return { values, n, points: values[values.length - 1] };
    }

    /** One iteration; gives [{player, terms}], one for each update. */
    iterate() {
      const { objective, settings, draws, D } = this, n = settings.batch, made = [];
      let real;
      for (let k = 0; k < settings.steps; k++) {
        real = draws.reals(n);
        const batch = { real, fake: this.generate(draws.codes(n)).points };
        for (const net of D.nets) net.clearGradients();
        const ofReal = D.forward(batch.real, n), ofFake = D.forward(batch.fake, n);
        const { terms, byReal, byFake } = objective.D(ofReal.score, ofFake.score, settings, batch);
        D.backward(ofReal, byReal, { input: false });
        D.backward(ofFake, byFake, { input: false });
        const penalties = objective.penalty ? PENALTIES[objective.penalty](D, batch, settings, draws) : {};
        this.moveD.step(settings.lrD);
        if (objective.clips)
          for (const net of D.nets)
            for (const [p] of net.parameters())
              for (let i = 0; i < p.length; i++) p[i] = Math.min(settings.clip, Math.max(-settings.clip, p[i]));
        made.push({ player: "D", terms: { ...terms, ...penalties } });
      }
      if (objective.freshReals) real = draws.reals(n);
      const fakes = this.generate(draws.codes(n));
      const { terms, byPoints } = this.generatorLoss(fakes.points, real);
      this.generator.clearGradients();
      this.generator.backward(fakes.values, byPoints, n, { input: false });
      this.moveG.step(settings.lrG);
      made.push({ player: "G", terms });
      this.iteration += 1;
      this.updates += made.length;
      return made;
    }

    /** G's loss of its points (n, 2), with the gradient by each of them; reals where the loss compares with them. */
    generatorLoss(points, real) {
      const { objective, D } = this, pass = D.forward(points, points.length / 2);
      const ofReal = objective.scoresRealsForG ? D.forward(real, real.length / 2).score : null;
      const { terms, byFake } = objective.G(pass.score, ofReal, this.settings);
      return { terms, byPoints: D.backward(pass, byFake, { weights: false, input: true }) };
    }

    /** D's number for each point, higher on what it takes for data. */
    field(points) {
      const { score } = this.D.forward(points, points.length / 2);
      return this.objective.lowOnData ? score.map((s) => -s) : score;
    }

    get finite() {
      return [...this.D.nets, this.generator].every((net) => net.layers.every(({ W }) => W.every(Number.isFinite)));
    }
  }

  /** What an objective starts with. */
  function defaults(id) {
    const { numbers, choices, lr, steps } = OBJECTIVES[id];
    const chosen = Object.fromEntries(Object.entries(choices).map(([key, values]) => [key, values[0]]));
    return { batch: 128, hidden: [32, 32], lrD: lr, lrG: lr, steps, ...numbers, ...chosen };
  }

  // ---- measures -------------------------------------------------------------------------------------------------

  /** The exact Wasserstein-1 distance of two sets of n points: the cheapest matching, by shortest augmenting paths. */
  function wasserstein1(a, b) {
    const n = a.length / 2, cost = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) cost[i * n + j] = Math.hypot(a[2 * i] - b[2 * j], a[2 * i + 1] - b[2 * j + 1]);
    const u = new Float64Array(n + 1), v = new Float64Array(n + 1); // prices of rows and of columns, from 1
    const rowOf = new Int32Array(n + 1), way = new Int32Array(n + 1);
    const least = new Float64Array(n + 1), used = new Uint8Array(n + 1);
    for (let i = 1; i <= n; i++) {
      rowOf[0] = i;
      let column = 0;
      least.fill(Infinity);
      used.fill(0);
      do {
        used[column] = 1;
        const row = rowOf[column];
        let step = Infinity, next = 0;
        for (let j = 1; j <= n; j++) {
          if (used[j]) continue;
          const reduced = cost[(row - 1) * n + j - 1] - u[row] - v[j];
          if (reduced < least[j]) {
            least[j] = reduced;
            way[j] = column;
          }
          if (least[j] < step) {
            step = least[j];
            next = j;
          }
        }
        for (let j = 0; j <= n; j++)
          if (used[j]) {
            u[rowOf[j]] += step;
            v[j] -= step;
          } else least[j] -= step;
        column = next;
      } while (rowOf[column] !== 0);
      do {
        const before = way[column];
        rowOf[column] = rowOf[before];
        column = before;
      } while (column);
    }
    let sum = 0;
    for (let j = 1; j <= n; j++) sum += cost[(rowOf[j] - 1) * n + j - 1];
    return sum / n;
  }

  /** Centres (k, 2) with a point nearer than `radius`, each point counting for its nearest centre; and the share near. */
  function modeCoverage(points, centres, radius) {
    const k = centres.length / 2, n = points.length / 2, counts = new Int32Array(k);
    for (let s = 0; s < n; s++) {
      let nearest = 0, least = Infinity;
      for (let c = 0; c < k; c++) {
        const distance = Math.hypot(points[2 * s] - centres[2 * c], points[2 * s + 1] - centres[2 * c + 1]);
        if (distance < least) [least, nearest] = [distance, c];
      }
      if (least < radius) counts[nearest]++;
    }
    const near = counts.reduce((sum, count) => sum + count, 0);
    return { covered: counts.filter((count) => count > 0).length, share: near / n, counts };
  }

  return { Random, Net, Scorer, AutoEncoder, Adam, RMSProp, Draws, Trainer, OBJECTIVES, defaults, wasserstein1, modeCoverage };
})();
if (typeof module !== "undefined") module.exports = GanLab;
