/**
 * Equal parts of many objects, kept once.
 *
 * The Pods of a Deployment have the same containers, labels and owners: of fifty thousand Pods, nine tenths of the memory
 * are such copies. What is shared is never changed, as nothing is that a parser gives.
 */

/** Parts that are remembered; then all are forgotten. Lists come in the order of names, so equal parts come close together. */
const MOST_PARTS = 4096;

/**
 * @returns gives an object whose parts are those of earlier objects where they are equal: the elements of arrays, and the
 *     objects, that stand two levels deep, as `spec.containers` and `metadata.labels` do. The object itself is changed.
 */
export function sharing(): <T>(object: T) => T {
  const parts = new Map<string, unknown>();

  function once(part: unknown): unknown {
    if (typeof part !== "object" || part === null) return part;
    const text = JSON.stringify(part);
    const first = parts.get(text);
    if (first !== undefined) return first;
    if (parts.size === MOST_PARTS) parts.clear();
    parts.set(text, part);
    return part;
  }

  return (object) => {
    for (const section of Object.values(object as object) as unknown[]) {
      if (typeof section !== "object" || section === null || Array.isArray(section)) continue;
      const fields = section as Record<string, unknown>;
      for (const name in fields) {
        const value = fields[name];
        if (typeof value !== "object") continue;
        if (Array.isArray(value)) for (let index = 0; index < value.length; index++) value[index] = once(value[index]);
        else fields[name] = once(value);
      }
    }
    return object;
  };
}
