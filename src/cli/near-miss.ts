/** Names that somebody may have meant. */

/** Letters to insert, delete, change or swap with their neighbour to get from one word to the other. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      row.push(least);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

/** How far `name` is from what was typed; undefined if it is something else. */
function farness(typed: string, name: string): number | undefined {
  if (typed.length >= 3 && name.includes(typed)) return 0;
  const far = distance(typed, name);
  if (far <= Math.max(1, Math.floor(typed.length / 3))) return far;
  const words = new Set(name.split("-"));
  const shared = typed.split("-").filter((word) => word.length >= 3 && words.has(word)).length;
  return shared >= 2 || (shared === 1 && words.size <= 2) ? 100 - shared : undefined;
}

/** @returns at most three, the nearest first */
export function nearMisses(typed: string, names: readonly string[]): string[] {
  return names
    .flatMap((name) => {
      const far = farness(typed.toLowerCase(), name);
      return far === undefined ? [] : [{ name, far }];
    })
    .sort((a, b) => a.far - b.far || (a.name < b.name ? -1 : 1))
    .slice(0, 3)
    .map(({ name }) => name);
}
