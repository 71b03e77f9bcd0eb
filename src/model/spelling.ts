/** Which words may be one and the same, mistyped. */

/** Letters to insert, delete or change to get from one word to the other. */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The one name that a mistyped word can only mean. */
export function meantBy(word: string, names: readonly string[]): string | undefined {
  const near = names.filter((name) => distance(word, name) <= Math.min(2, Math.floor(name.length / 3)));
  return near.length === 1 ? near[0] : undefined;
}
