/** mulberry32: numbers from 0 to 1 that are the same in every run. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Choices that look random and are the same in every run: a failure can be repeated by its seed. */
export function seededRandom(seed: number): {
  below(n: number): number;
  pick<T>(from: readonly T[]): T;
  chance(p: number): boolean;
} {
  const next = random(Math.imul(seed, 2654435761));
  const below = (n: number): number => Math.floor(next() * n);
  return { below, pick: (from) => from[below(from.length)]!, chance: (p) => next() < p };
}
