/** Whether a path holds a name as a whole word: with nothing of a word at either side. */
export function holdsWord(path: string, name: string): boolean {
  if (name === "") return false;
  const isEdge = (at: number) => !/[a-z0-9]/i.test(path[at] ?? "");
  for (let at = path.indexOf(name); at >= 0; at = path.indexOf(name, at + 1)) {
    if (isEdge(at - 1) && isEdge(at + name.length)) return true;
  }
  return false;
}
