/** The objects of a resource, with what became of them: for tests that write. */
import type { Collection, ObjectChange, StoredObject } from "../../src/replay/store.ts";

const keyOf = ({ namespace, name }: StoredObject): string => `${namespace}/${name}`;

export class WritableCollection implements Collection {
  items: readonly StoredObject[];
  resourceVersion: number;
  #changes: ObjectChange[] = [];
  /** After `forget` nothing older is known. */
  #oldest: number;
  readonly #states = new Map<number, readonly StoredObject[]>();
  readonly #listeners = new Set<(change: ObjectChange) => void>();

  constructor({ items, resourceVersion }: Pick<Collection, "items" | "resourceVersion">) {
    this.items = items;
    this.resourceVersion = resourceVersion;
    this.#oldest = resourceVersion;
    this.#states.set(resourceVersion, items);
  }

  itemsAt(resourceVersion: number): readonly StoredObject[] | undefined {
    return this.#states.get(resourceVersion);
  }

  changesAfter(resourceVersion: number): readonly ObjectChange[] | undefined {
    if (resourceVersion < this.#oldest) return undefined;
    return this.#changes.filter((change) => change.resourceVersion > resourceVersion);
  }

  subscribe(onChange: (change: ObjectChange) => void): () => void {
    this.#listeners.add(onChange);
    return () => void this.#listeners.delete(onChange);
  }

  find(namespace: string, name: string): StoredObject | undefined {
    return this.items.find((each) => each.name === name && each.namespace === namespace);
  }

  put(object: StoredObject, resourceVersion: number): void {
    const before = this.find(object.namespace, object.name);
    const items = this.items.filter((each) => each !== before);
    const at = items.findIndex((each) => keyOf(each) > keyOf(object));
    this.items = items.toSpliced(at < 0 ? items.length : at, 0, object);
    this.#tell({ type: before ? "MODIFIED" : "ADDED", object, ...(before && { before }), resourceVersion });
  }

  /** @param last the object as watches tell it, with the version of its end */
  remove(last: StoredObject, resourceVersion: number): void {
    const before = this.find(last.namespace, last.name);
    this.items = this.items.filter((each) => each !== before);
    this.#tell({ type: "DELETED", object: last, ...(before && { before }), resourceVersion });
  }

  /** What etcd does when it compacts: older versions are gone, and who asks for them hears 410. */
  forget(): void {
    this.#changes = [];
    this.#oldest = this.resourceVersion;
    this.#states.clear();
    this.#states.set(this.resourceVersion, this.items);
  }

  #tell(change: ObjectChange): void {
    this.resourceVersion = change.resourceVersion;
    this.#states.set(change.resourceVersion, this.items);
    this.#changes.push(change);
    for (const listener of [...this.#listeners]) listener(change);
  }
}
