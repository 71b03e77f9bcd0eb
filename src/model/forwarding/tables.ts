/** A node's tables by what they are asked for: each is read once, however often it is asked. */
import type { Observed } from "../../evidence/observed.ts";
import { known } from "../../evidence/observed.ts";
import type { Link } from "../../parse/iproute2/addr.ts";
import type { FdbEntry } from "../../parse/iproute2/bridge-fdb.ts";
import type { BridgePort } from "../../parse/iproute2/bridge-link.ts";
import type { Neighbour } from "../../parse/iproute2/neigh.ts";

/** The first item with a key, of a list that does not change. */
function firstBy<T, K>(keysOf: (item: T) => readonly K[]): (list: readonly T[], key: K) => T | undefined {
  const indexes = new WeakMap<readonly T[], ReadonlyMap<K, T>>();
  return (list, key) => {
    let index = indexes.get(list);
    if (!index) {
      const made = new Map<K, T>();
      for (const item of list) for (const one of keysOf(item)) if (!made.has(one)) made.set(one, item);
      index = made;
      indexes.set(list, index);
    }
    return index.get(key);
  };
}

const byName = firstBy(({ name }: Link) => [name]);
const byIndex = firstBy(({ index }: Link) => [index]);
const byAddress = firstBy(({ addresses }: Link) => addresses.map(({ local }) => local));
const byNeighbour = firstBy(({ address, device }: Neighbour) => [`${device} ${address}`]);
const byTunnelMac = firstBy(({ mac, device, destination }: FdbEntry) => (destination ? [`${device} ${mac}`] : []));
const byPort = firstBy(({ name }: BridgePort) => [name]);

const asked =
  <T, K>(first: (list: readonly T[], key: K) => T | undefined) =>
  (observed: Observed<readonly T[]>, key: K | undefined): T | undefined => {
    const list = key === undefined ? undefined : known(observed);
    return list && first(list, key as K);
  };

export const linkNamed = asked(byName);
export const linkNumbered = asked(byIndex);
export const linkWithAddress = asked(byAddress);
export const bridgePortNamed = asked(byPort);

/** The entry for a next hop on a device. */
export const neighbourOf = (neighbours: Observed<readonly Neighbour[]>, address: string, device: string) =>
  asked(byNeighbour)(neighbours, `${device} ${address}`);

/** Where a tunnel's device sends frames for a hardware address. */
export const tunnelEntry = (fdb: Observed<readonly FdbEntry[]>, mac: string, device: string) =>
  asked(byTunnelMac)(fdb, `${device} ${mac}`);
